//! The primary of a set whose author names none: its first backend, until a failover.

use super::mutation::rule_prefix;
use crate::admission::author::PrimaryNamed;
use crate::admission::previous::{PreviousObject, PreviousSet};
use crate::admission::view::View;
use crate::engine::{
    BySet, Declaration, DeclaredSet, Intent, SetState, State, annotations, defaulted_primary,
};

/// The state by which an object that becomes managed is read: the defaults of the state in it, or a
/// default for each set of a new object.
pub(super) fn defaults_at_birth(
    declared: &Declaration,
    brought: Option<&State>,
    created: bool,
    view: &View<'_>,
) -> Option<State> {
    let mut state = State::new(view.me, BySet::new());
    state.defaulted_primary = brought.and_then(|brought| brought.defaulted_primary.clone());
    for set in &declared.sets {
        let first = set.backends.first().map(|b| b.name.clone());
        let of_set = brought.and_then(|brought| brought.sets.get(&set.name));
        let was = of_set.filter(|of_set| {
            of_set.primary.as_ref().is_some_and(|primary| set.has(primary))
                && of_set.first.as_ref().or(of_set.primary.as_ref()) == first.as_ref()
        });
        // An existing set keeps its traffic: its author has to name a primary that is not clear.
        let Some(primary) = was.map_or(first.clone().filter(|_| created), |w| w.primary.clone())
        else {
            continue;
        };
        let remembered = SetState { primary: Some(primary), first, ..SetState::default() };
        state.sets.insert(set.name.clone(), remembered);
    }
    (state.defaulted_primary.is_some() || !state.sets.is_empty()).then_some(state)
}

/// The state by which an object is read after an edit: whether its primary is a default, and the default
/// of each set.
pub(super) fn defaults_after(
    declared: &Declaration,
    previous: &PreviousObject,
    named: PrimaryNamed,
    view: &View<'_>,
) -> State {
    let mut state = previous.state.clone().unwrap_or_else(|| State::new(view.me, BySet::new()));
    let present = declared.annotations.get(annotations::PRIMARY_SERVICE);
    state.defaulted_primary = present.filter(|_| named != PrimaryNamed::Yes).cloned();
    for set in &declared.sets {
        let Some(primary) = default_after(set, previous.set(&set.name), named) else { continue };
        let of_set = state.sets.entry(set.name.clone()).or_default();
        of_set.primary = Some(primary);
        of_set.first = set.backends.first().map(|b| b.name.clone());
    }
    state
}

/// The default of a set after an edit: its first backend. It does not change during a failover, where the
/// author may not intend another, or where the first backend is the same. None for a set that has not
/// failed over before, since its primary is not clear.
fn default_after(
    set: &DeclaredSet,
    previous: Option<&PreviousSet>,
    named: PrimaryNamed,
) -> Option<String> {
    let first = &set.backends.first()?.name;
    let Some(previous) = previous else { return Some(first.clone()) };
    if previous.without_primary {
        return None;
    }
    let is_same = previous.first.as_ref() == Some(first) || named == PrimaryNamed::Unclear;
    let stays = previous.is_away() || previous.by_default && is_same;
    let before = previous.primaries.iter().find(|primary| set.has(primary));
    Some(before.filter(|_| stays).unwrap_or(first).clone())
}

/// A note on each primary that the author of a new object did not name.
pub(super) fn notes_at_birth(intents: &[Intent], declared: &Declaration) -> Vec<String> {
    if declared.annotations.contains_key(annotations::PRIMARY_SERVICE) {
        return vec![];
    }
    let not_set = format!("{} was not set", annotations::PRIMARY_SERVICE);
    let which = |intent: &Intent, primary: &str| {
        let is_first = intent.backends.first().is_some_and(|b| b.name == primary);
        let which = if is_first { "the first backend" } else { "the backend with weight" };
        let others: Vec<&str> = (intent.backends.iter())
            .filter(|b| b.name != primary && b.authored > 0)
            .map(|b| b.name.as_str())
            .collect();
        let none_for = match others.as_slice() {
            [] => String::new(),
            others => format!("; {} gets traffic only without it", others.join(", ")),
        };
        format!("{which}, {primary}, is the primary{none_for}")
    };
    if let Some(primary) = defaulted_primary(intents) {
        return intents
            .first()
            .map(|i| format!("{not_set}: {}", which(i, &primary)))
            .into_iter()
            .collect();
    }
    let own = intents.iter().filter_map(|intent| Some((intent, intent.default_primary()?)));
    own.map(|(i, primary)| format!("{}{not_set}: {}", rule_prefix(i), which(i, primary))).collect()
}

/// A note on the default primary of a set whose first backend is another than before.
pub(super) fn note_after(intent: &Intent, previous: &PreviousSet) -> Option<String> {
    let (is, was) = (intent.default_primary()?, previous.primaries.first()?);
    let first = intent.backends.first().map(|b| &b.name)?;
    let annotation = annotations::PRIMARY_SERVICE;
    if is != was {
        return previous.by_default.then(|| {
            format!(
                "the first backend is {is} now, and so is the primary, which was {was}; set {annotation} to keep it"
            )
        });
    }
    (first != is && previous.first.as_ref() != Some(first)).then(|| {
        let why = match previous.is_away() {
            true => "while traffic is off it",
            false => "as it stands in the object",
        };
        format!(
            "the first backend is {first} now; the primary is still {is}, {why}: set {annotation} to say which you mean"
        )
    })
}
