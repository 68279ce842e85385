//! The edit that an admission review makes.

use super::retries::RetryChange;
use crate::engine::{
    AuthoredWeights, BySet, Declaration, Intent, State, annotations, defaulted_primary,
};
use crate::kinds::Edit;
use kube::ResourceExt;
use kube::core::DynamicObject;

/// The edit of the object in a request, and the notes for its author.
#[derive(Default)]
pub(crate) struct Mutation {
    pub edit: Edit,
    /// Each is a warning, and an audit annotation.
    pub notes: Vec<String>,
}

/// The desired content of an object; the edit is the difference to the present one.
pub(super) struct DesiredObject {
    /// By set; a set that is not here stays as it is.
    pub weights: BySet<Vec<u32>>,
    /// `None` removes.
    pub annotations: Vec<(&'static str, Option<String>)>,
}

impl DesiredObject {
    /// A managed object with these weights, and our annotations.
    pub(super) fn managed(
        weights: BySet<Vec<u32>>,
        intents: &[Intent],
        state: &State,
        authored: &AuthoredWeights,
        declared: &Declaration,
        retries: RetryChange,
    ) -> Self {
        let mut ours = vec![
            (annotations::AUTHORED_WEIGHTS, Some(authored.to_annotation())),
            (annotations::STATE, Some(state.to_annotation())),
        ];
        if declared.authored_primary().is_none() {
            // Rules with different primaries have none in common.
            ours.push((annotations::PRIMARY_SERVICE, defaulted_primary(intents)));
        }
        ours.extend(retries.annotations);
        Self { weights, annotations: ours }
    }

    /// `declared` is what the object declares, [normalized](Declaration::normalized).
    pub(super) fn edit(self, object: &DynamicObject, declared: &Declaration) -> Edit {
        let mut edit = Edit::default();
        for set in &declared.sets {
            let Some(weights) = self.weights.get(&set.name) else { continue };
            let mut differs = set.backends.iter().zip(weights);
            if differs.any(|(b, weight)| b.weight.whole() != Some(*weight)) {
                for (backend, weight) in set.backends.iter().zip(weights) {
                    edit.weight(&backend.path, *weight);
                }
                for entry in &set.repeated {
                    edit.weight(&set.path.index(*entry), 0);
                }
            }
        }
        let present = object.annotations();
        let (mut set, mut removed) = (vec![], vec![]);
        for (name, value) in self.annotations {
            match value {
                Some(value) if present.get(name) != Some(&value) => set.push((name, value)),
                None if present.contains_key(name) => removed.push(name),
                _ => {}
            }
        }
        edit.annotations(object.metadata.annotations.is_some(), &set);
        edit.remove_annotations(removed);
        edit
    }
}

/// `rule NAME: `, where the object has several.
pub(super) fn rule_prefix(intent: &Intent) -> String {
    match intent.set.as_str() {
        "" => String::new(),
        rule => format!("rule {rule}: "),
    }
}
