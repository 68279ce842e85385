//! Which keys are known of one etcd: what is not among all that is stored after a gap is gone.

use crate::truth::{Change, StoredKey};
use std::collections::BTreeMap;

/// The keys that are stored, with the revision of their last change.
#[derive(Debug, Default)]
pub(super) struct Known(BTreeMap<StoredKey, u64>);

impl Known {
    /// One change.
    pub(super) fn changed(&mut self, change: &Change) {
        match change.value {
            Some(_) => self.0.insert(change.key.clone(), change.revision),
            None => self.0.remove(&change.key),
        };
    }

    /// The changes that lead from what was known to all that is stored.
    pub(super) fn after_gap(&mut self, revision: u64, mut stored: Vec<Change>) -> Vec<Change> {
        let mut gone = std::mem::take(&mut self.0);
        stored.sort_by_key(|change| change.revision);
        let mut changes = vec![];
        for change in stored {
            let before = gone.remove(&change.key);
            self.changed(&change);
            if before != Some(change.revision) {
                changes.push(change);
            }
        }
        changes.extend(gone.into_keys().map(|key| Change { revision, key, value: None }));
        changes
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::truth::Resource;
    use serde_json::json;

    #[test]
    fn after_a_gap_only_what_is_another_one_has_changed_and_what_is_not_there_is_gone() {
        let change = |name: &str, revision| Change {
            revision,
            key: StoredKey::new(Resource::Pod, "ns", name),
            value: Some(json!({})),
        };
        let mut known = Known::default();
        assert_eq!(known.after_gap(3, vec![change("b", 3), change("a", 2)]).len(), 2);
        known.changed(&change("c", 4));
        let changes = known.after_gap(9, vec![change("a", 2), change("b", 7)]);
        let found: Vec<_> =
            changes.iter().map(|c| (c.key.name.as_str(), c.revision, c.value.is_some())).collect();
        assert_eq!(found, [("b", 7, true), ("c", 9, false)]);
    }
}
