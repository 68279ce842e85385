//! ServiceProfiles as the index enters them and looks them up.

use crate::index::order::{Arrival, Freshness, Ticket};
use crate::index::profile_facts::ProfileFacts;
use crate::index::profile_table::split_of;
use crate::index::store::Index;
use crate::kinds::service_profile::service_of;
use crate::kinds::{Kind, ObjectKey, ObjectRef};
use std::collections::BTreeSet;

impl Index {
    /// The ServiceProfile for a Service, in the Service's own namespace.
    pub(crate) fn profile_of(&self, service: &ObjectKey) -> Option<(&str, &ProfileFacts)> {
        let host = format!("{}.{}.svc.", service.name, service.namespace);
        let of_it = |(key, _): &(&ObjectKey, &ProfileFacts)| {
            key.namespace == service.namespace && key.name.starts_with(&host)
        };
        self.profiles.facts.iter().find(of_it).map(|(key, profile)| (&*key.name, profile))
    }

    /// The ServiceProfile of this very name.
    pub(crate) fn profile(&self, key: &ObjectKey) -> Option<&ProfileFacts> {
        self.profiles.facts.get(key)
    }

    /// The ServiceProfiles whose marks name a split.
    pub(crate) fn profiles_written_for(
        &self,
        split: &ObjectRef,
    ) -> impl Iterator<Item = &ObjectKey> {
        self.profiles.written_for.get(split).into_iter().flatten()
    }

    /// The splits that are named by marks, managed or not.
    pub(crate) fn marked_splits(&self) -> impl Iterator<Item = &ObjectRef> {
        self.profiles.written_for.keys()
    }

    /// A write of a profile is about to begin.
    pub(crate) fn profile_ticket(&self, profile: &ObjectKey) -> Ticket {
        self.profiles.order.ticket(profile)
    }

    /// Puts in what the watch says of a profile.
    #[cfg(test)]
    pub(crate) fn set_profile(&mut self, key: ObjectKey, profile: ProfileFacts) -> Vec<ObjectRef> {
        self.enter_profile(key, profile, Arrival::Watched)
    }

    /// Puts a profile in, where it may enter. Returns the splits that it concerns, where profiles are
    /// written here.
    pub(crate) fn enter_profile(
        &mut self,
        key: ObjectKey,
        profile: ProfileFacts,
        arrival: Arrival<'_>,
    ) -> Vec<ObjectRef> {
        let version = profile.resource_version.parse().unwrap_or_default();
        match self.profiles.order.enter(&key, version, &key, arrival) {
            Freshness::Enters => {}
            Freshness::Leaves => return self.remove_profile(&key),
            Freshness::Late => return vec![],
        }
        if self.profiles.facts.get(&key) == Some(&profile) {
            return vec![];
        }
        let mut affected = self.remove_profile(&key);
        if let Some(split) = split_of(&key, &profile) {
            self.profiles.written_for.entry(split.clone()).or_default().insert(key.clone());
            if self.writes_profiles && !affected.contains(&split) {
                affected.push(split);
            }
        }
        self.profiles.facts.insert(key, profile);
        affected
    }

    /// The answer to a write says that a profile of this version is gone. One that is there since
    /// stays.
    pub(crate) fn lack_profile(
        &mut self,
        key: &ObjectKey,
        version: &str,
        ticket: &Ticket,
    ) -> Vec<ObjectRef> {
        let version = version.parse().unwrap_or_default();
        if !self.profiles.order.lack(ticket, key, version) {
            return vec![];
        }
        self.profiles.order.show(ticket, key, version);
        self.remove_profile(key)
    }

    /// Returns the splits that it concerns, where profiles are written here.
    pub(crate) fn remove_profile(&mut self, key: &ObjectKey) -> Vec<ObjectRef> {
        let named = self.profiles.unmark(key);
        self.profiles.facts.remove(key);
        if !self.writes_profiles {
            return vec![];
        }
        let mut affected: BTreeSet<ObjectRef> = named.into_iter().collect();
        affected.extend(self.first_split_on(&key.beside(service_of(&key.name))).cloned());
        affected.into_iter().collect()
    }

    pub(crate) fn profile_keys(&self) -> Vec<ObjectKey> {
        self.profiles.facts.keys().cloned().collect()
    }

    /// Of the managed splits on an apex the one that steers: the oldest, then the first by name.
    pub(crate) fn first_split_on(&self, apex: &ObjectKey) -> Option<&ObjectRef> {
        let splits = self.objects_naming(apex).filter(|object| object.kind == Kind::TrafficSplit);
        let on_it = splits.filter_map(|split| {
            let managed = self.object(split)?;
            let is_apex = managed.apexes().iter().any(|name| split.beside(name) == *apex);
            is_apex.then_some((managed.created, split))
        });
        on_it.min().map(|(_, split)| split)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
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
    fn what_the_watch_tells_late_does_not_undo_what_a_write_has_shown() {
        let mut index = Index::default();
        index.writes_profiles = true;
        let key = ObjectKey::new("ns", NAME);
        index.set_profile(key.clone(), profile("20", Some("a")));
        assert_eq!(index.set_profile(key.clone(), profile("10", None)), []);
        assert!(index.profile(&key).unwrap().mark.is_some());
    }

    #[test]
    fn where_profiles_are_not_written_nobody_hears_of_them() {
        let mut index = Index::default();
        let key = ObjectKey::new("ns", NAME);
        assert_eq!(index.set_profile(key.clone(), profile("1", Some("a"))), []);
        assert_eq!(index.remove_profile(&key), []);
    }
}
