//! ServiceProfiles: by name, and from a split to those that are written for it.

use crate::index::order::Order;
use crate::index::profile_facts::ProfileFacts;
use crate::kinds::{Kind, ObjectKey, ObjectRef};
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// All ServiceProfiles.
#[derive(Debug, Default)]
pub(crate) struct ProfileTable {
    /// In the order of their names, so that those of a Service are found by what their names begin with.
    facts: BTreeMap<ObjectKey, ProfileFacts>,
    /// From the split that their marks name.
    written_for: HashMap<ObjectRef, BTreeSet<ObjectKey>>,
    pub(crate) order: Order,
}

impl ProfileTable {
    /// The profile of this name.
    pub(crate) fn get(&self, key: &ObjectKey) -> Option<&ProfileFacts> {
        self.facts.get(key)
    }

    /// The profile for a Service, in the Service's own namespace, with its name.
    pub(crate) fn of(&self, service: &ObjectKey) -> Option<(&str, &ProfileFacts)> {
        let first = service.beside(&format!("{}.{}.svc.", service.name, service.namespace));
        let is_of_it = |(key, _): &(&ObjectKey, &ProfileFacts)| {
            key.namespace == service.namespace && key.name.starts_with(&*first.name)
        };
        let found = self.facts.range(&first..).next().filter(is_of_it);
        found.map(|(key, profile)| (&*key.name, profile))
    }

    /// The profiles whose marks name a split.
    pub(crate) fn written_for(&self, split: &ObjectRef) -> impl Iterator<Item = &ObjectKey> {
        self.written_for.get(split).into_iter().flatten()
    }

    /// The splits that marks name, managed or not.
    pub(crate) fn marked_splits(&self) -> impl Iterator<Item = &ObjectRef> {
        self.written_for.keys()
    }

    pub(crate) fn keys(&self) -> impl Iterator<Item = &ObjectKey> {
        self.facts.keys()
    }

    /// Adds a profile that is not in the table. Returns the split that its mark names.
    pub(super) fn insert(&mut self, key: ObjectKey, facts: ProfileFacts) -> Option<ObjectRef> {
        let split = split_of(&key, &facts);
        if let Some(split) = &split {
            self.written_for.entry(split.clone()).or_default().insert(key.clone());
        }
        self.facts.insert(key, facts);
        split
    }

    /// Removes a profile. Returns the split that its mark named.
    pub(super) fn remove(&mut self, key: &ObjectKey) -> Option<ObjectRef> {
        let split = split_of(key, &self.facts.remove(key)?)?;
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
fn split_of(key: &ObjectKey, facts: &ProfileFacts) -> Option<ObjectRef> {
    let mark = facts.mark.as_ref()?;
    Some(ObjectRef::new(Kind::OF_SERVICE_PROFILES, ObjectKey::new(&key.namespace, &mark.split)))
}
