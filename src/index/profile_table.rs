//! The ServiceProfiles in the index: by name, and from a split to those that are written for it.

use crate::index::order::Order;
use crate::index::profile_facts::ProfileFacts;
use crate::kinds::{Kind, ObjectKey, ObjectRef};
use std::collections::{BTreeSet, HashMap};

/// All ServiceProfiles.
#[derive(Debug, Default)]
pub(crate) struct ProfileTable {
    pub(crate) facts: HashMap<ObjectKey, ProfileFacts>,
    /// From the split that their marks name.
    pub(crate) written_for: HashMap<ObjectRef, BTreeSet<ObjectKey>>,
    pub(crate) order: Order,
}

impl ProfileTable {
    pub(crate) fn unmark(&mut self, key: &ObjectKey) -> Option<ObjectRef> {
        let split = split_of(key, self.facts.get(key)?)?;
        if let Some(profiles) = self.written_for.get_mut(&split) {
            profiles.remove(key);
            if profiles.is_empty() {
                self.written_for.remove(&split);
            }
        }
        Some(split)
    }
}

/// The split that a profile's mark names.
pub(crate) fn split_of(key: &ObjectKey, facts: &ProfileFacts) -> Option<ObjectRef> {
    let mark = facts.mark.as_ref()?;
    Some(ObjectRef::new(Kind::TrafficSplit, ObjectKey::new(&key.namespace, &mark.split)))
}
