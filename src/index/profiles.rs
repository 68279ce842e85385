//! The ServiceProfiles in the index: which facts enter, and which splits a change concerns.

use crate::index::order::{Arrival, Freshness, Ticket};
use crate::index::profile_facts::ProfileFacts;
use crate::index::store::Index;
use crate::kinds::service_profile::service_of;
use crate::kinds::{ObjectKey, ObjectRef};
use std::collections::BTreeSet;

impl Index {
    /// The ServiceProfile for a Service, in the Service's own namespace.
    pub(crate) fn profile_of(&self, service: &ObjectKey) -> Option<(&str, &ProfileFacts)> {
        self.profiles.of(service)
    }

    /// The ServiceProfile of this name.
    pub(crate) fn profile(&self, key: &ObjectKey) -> Option<&ProfileFacts> {
        self.profiles.get(key)
    }

    /// The ServiceProfiles whose marks name a split.
    pub(crate) fn profiles_written_for(
        &self,
        split: &ObjectRef,
    ) -> impl Iterator<Item = &ObjectKey> {
        self.profiles.written_for(split)
    }

    /// The splits that the marks of ServiceProfiles name.
    pub(crate) fn marked_splits(&self) -> impl Iterator<Item = &ObjectRef> {
        self.profiles.marked_splits()
    }

    /// A ticket for a write of a profile.
    pub(crate) fn profile_ticket(&self, profile: &ObjectKey) -> Ticket {
        self.profiles.order.ticket(profile)
    }

    /// Enters a profile, as the watch reports it.
    #[cfg(test)]
    pub(crate) fn set_profile(&mut self, key: ObjectKey, profile: ProfileFacts) -> Vec<ObjectRef> {
        self.enter_profile(key, profile, Arrival::Watched)
    }

    /// Enters a profile where it is the newest. Returns the splits that it concerns, where profiles are
    /// written.
    pub(crate) fn enter_profile(
        &mut self,
        key: ObjectKey,
        profile: ProfileFacts,
        arrival: Arrival<'_>,
    ) -> Vec<ObjectRef> {
        let version = profile.resource_version.parse().unwrap_or_default();
        match self.profiles.order.enter(&key, version, &key, arrival) {
            Freshness::Newest => self.put_profile(key, profile),
            Freshness::Deleted => self.remove_profile(&key),
            Freshness::Stale => vec![],
        }
    }

    fn put_profile(&mut self, key: ObjectKey, profile: ProfileFacts) -> Vec<ObjectRef> {
        if self.profiles.get(&key) == Some(&profile) {
            return vec![];
        }
        let mut affected = self.remove_profile(&key);
        let split = self.profiles.insert(key, profile);
        affected.extend(split.filter(|s| self.writes_profiles && !affected.contains(s)));
        affected
    }

    /// Removes a profile that the answer to a write shows to be gone at this version. A newer one is not
    /// removed.
    pub(crate) fn remove_absent_profile(
        &mut self,
        key: &ObjectKey,
        version: &str,
        ticket: &Ticket,
    ) -> Vec<ObjectRef> {
        let version = version.parse().unwrap_or_default();
        if !self.profiles.order.answer_lacks(ticket, key, version) {
            return vec![];
        }
        self.profiles.order.answer_covers(ticket, key, version);
        self.remove_profile(key)
    }

    /// Removes a profile. Returns the splits that it concerns, where profiles are written.
    pub(crate) fn remove_profile(&mut self, key: &ObjectKey) -> Vec<ObjectRef> {
        let named = self.profiles.remove(key);
        if !self.writes_profiles {
            return vec![];
        }
        let mut affected: BTreeSet<ObjectRef> = named.into_iter().collect();
        affected.extend(self.first_split_on(&key.beside(service_of(&key.name))).cloned());
        affected.into_iter().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kinds::Kind;
    use serde_json::json;

    const NAME: &str = "emoji-svc.ns.svc.cluster.local";

    fn profile(version: &str, split: Option<&str>) -> ProfileFacts {
        let mark = split.map(|split| {
            let mark = json!({"v": 1, "split": split, "uid": "u", "created": true, "by": "x"});
            json!({"failover.linkerd.io/written-for": mark.to_string()})
        });
        let object = json!({"metadata": {"name": NAME, "namespace": "ns",
            "resourceVersion": version, "annotations": mark}, "spec": {}});
        ProfileFacts::read(&serde_json::from_value(object).unwrap())
    }

    fn split(name: &str) -> ObjectRef {
        ObjectRef::new(Kind::TrafficSplit, ObjectKey::new("ns", name))
    }

    #[test]
    fn a_profile_leads_to_the_splits_that_its_mark_named_and_names() {
        let mut index = Index::default();
        index.writes_profiles = true;
        let key = ObjectKey::new("ns", NAME);
        assert_eq!(index.set_profile(key.clone(), profile("1", Some("a"))), [split("a")]);
        assert_eq!(index.set_profile(key.clone(), profile("1", Some("a"))), []);
        let both = index.set_profile(key.clone(), profile("2", Some("b")));
        assert_eq!(both, [split("a"), split("b")]);
        assert_eq!(index.profiles_written_for(&split("a")).count(), 0);
        assert_eq!(index.profiles_written_for(&split("b")).collect::<Vec<_>>(), [&key]);
        assert_eq!(index.remove_profile(&key), [split("b")]);
        assert_eq!(index.profiles_written_for(&split("b")).count(), 0);
    }

    #[test]
    fn a_stale_event_of_the_watch_does_not_undo_what_a_write_has_shown() {
        let mut index = Index::default();
        index.writes_profiles = true;
        let key = ObjectKey::new("ns", NAME);
        index.set_profile(key.clone(), profile("20", Some("a")));
        assert_eq!(index.set_profile(key.clone(), profile("10", None)), []);
        assert!(index.profile(&key).unwrap().mark.is_some());
    }

    #[test]
    fn where_profiles_are_not_written_a_change_of_one_concerns_no_split() {
        let mut index = Index::default();
        let key = ObjectKey::new("ns", NAME);
        assert_eq!(index.set_profile(key.clone(), profile("1", Some("a"))), []);
        assert_eq!(index.remove_profile(&key), []);
    }
}
