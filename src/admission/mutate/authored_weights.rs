//! The author's weights of a set after an edit.

use crate::admission::author::Author;
use crate::admission::previous::{PreviousObject, PreviousSet};
use crate::engine::{AuthoredText, BySet, DeclaredBackend, DeclaredSet, Weights};

/// The weights that the author certainly wrote. In a second call for the same request, the weights in the
/// object are ours.
pub(super) fn certain_weights(author: &Author, previous: &PreviousObject) -> BySet<Weights> {
    match previous.is_reinvocation && !author.has_applied {
        true => BySet::new(),
        false => author.weights.clone(),
    }
}

/// The author's weights of a set after an edit; none where one cannot be read.
pub(super) fn weights_after(
    set: &DeclaredSet,
    previous: &PreviousSet,
    certain: Option<&Weights>,
) -> Option<Weights> {
    let mut authored = Weights::new();
    for backend in &set.backends {
        let weight = backend.weight.whole()?;
        let certain = certain.and_then(|weights| weights.get(&backend.name));
        let untouched = previous.is_untouched(set, backend);
        let recorded = previous.recorded.get(&backend.name).filter(|_| untouched);
        authored.insert(backend.name.clone(), *certain.or(recorded).unwrap_or(&weight));
    }
    Some(authored)
}

/// The author's weights as text, where they are no whole numbers.
pub(super) fn text_after(set: &DeclaredSet, previous: &PreviousSet) -> AuthoredText {
    let mut text = AuthoredText::new();
    for backend in &set.backends {
        // A backend that was added past the webhook is in no record.
        let is_recorded = previous.recorded.contains_key(&backend.name);
        let found = match is_recorded && previous.is_untouched(set, backend) {
            true => previous.recorded_text.get(&backend.name),
            false => set.written.get(&backend.name),
        };
        text.extend(found.map(|found| (backend.name.clone(), found.clone())));
    }
    text
}

/// The author's weights of a set that fails over no longer; none where they are unknown, or all zero, on
/// which a proxy keeps its old weights for good.
pub(super) fn restored_weights(
    set: &DeclaredSet,
    previous: &PreviousSet,
    certain: Option<&Weights>,
) -> Option<Vec<u32>> {
    let authored = weights_after(set, previous, certain)?;
    let of = |backend: &DeclaredBackend| authored.get(&backend.name).copied().unwrap_or_default();
    let weights: Vec<u32> = set.backends.iter().map(of).collect();
    weights.iter().any(|weight| *weight > 0).then_some(weights)
}
