//! The index: facts by object, and from a Service to the objects that name it.

use super::endpoints::{self, SliceFacts};
use super::managed::Managed;
use super::namespace::ClusterWide;
use super::part::Forbidden;
use super::peak::Peak;
use super::profiles::ProfileFacts;
use super::remote::Remote;
use super::services::{ServiceFacts, ServiceKind};
use crate::failover::{Health, Intent, Now};
use crate::resources::ObjectKey;
use jiff::Timestamp;
use kube::core::ObjectMeta;
use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

/// More names of replicas than this are not remembered: anybody may write a state.
const REPLICAS: usize = 1_000;

/// Which kinds of facts are whole: listed since the last interruption of their watch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Synced {
    pub objects: bool,
    pub services: bool,
    pub slices: bool,
    pub namespace: bool,
    /// Only warnings need them: nobody waits for these.
    pub profiles: bool,
}

impl Synced {
    /// Everything is whole.
    pub const ALL: Self =
        Self { objects: true, services: true, slices: true, namespace: true, profiles: true };

    /// Whether everything is whole that a decision needs.
    pub fn all(self) -> bool {
        Self { profiles: true, ..self } == Self::ALL
    }
}

/// All facts that decisions are made from.
#[derive(Debug, Default)]
pub struct Index {
    pub synced: Synced,
    /// The moment of the change being made: whoever changes the index sets it.
    pub now: Now,
    pub cluster_wide: ClusterWide,
    pub forbidden: Forbidden,
    /// Boxed: a table keeps room for twice what it holds.
    objects: HashMap<ObjectKey, Box<Managed>>,
    services: HashMap<ObjectKey, ServiceFacts>,
    profiles: HashMap<ObjectKey, ProfileFacts>,
    /// The cluster does not have the kind ServiceProfile.
    pub no_profiles: bool,
    /// Of the clusters that are linked.
    pub remote: Remote,
    /// By Service, then by the slice's name.
    slices: HashMap<ObjectKey, HashMap<Arc<str>, Slice>>,
    /// Which Service a slice belonged to when it was seen last: its label may change.
    service_of_slice: HashMap<ObjectKey, ObjectKey>,
    /// Slices that a LIST past the watch found gone, with that LIST's version: what the watch still
    /// tells of them is old.
    gone: HashMap<ObjectKey, u64>,
    /// Of Services that objects name.
    past: HashMap<ObjectKey, Past>,
    /// When a replica was last seen to move the traffic of an object.
    moved: HashMap<Box<str>, Timestamp>,
    /// From a Service to the objects that name it.
    named_by: HashMap<ObjectKey, BTreeSet<ObjectKey>>,
}

/// What was so of a Service before.
#[derive(Debug, Default)]
struct Past {
    peak: Peak,
    /// The last endpoints that it had.
    endpoints: Box<[u64]>,
}

#[derive(Debug)]
struct Slice {
    version: u64,
    facts: SliceFacts,
}

impl Index {
    pub fn object(&self, key: &ObjectKey) -> Option<&Managed> {
        self.objects.get(key).map(|managed| &**managed)
    }

    pub fn objects(&self) -> impl ExactSizeIterator<Item = (&ObjectKey, &Managed)> {
        self.objects.iter().map(|(key, managed)| (key, &**managed))
    }

    pub fn service(&self, key: &ObjectKey) -> Option<&ServiceFacts> {
        self.services.get(key)
    }

    /// The linked clusters that any Service mirrors.
    pub fn mirrored_clusters(&self) -> impl Iterator<Item = &str> {
        self.services.values().filter_map(|service| service.mirrors.as_deref())
    }

    /// The ServiceProfile for a Service, in the Service's own namespace.
    pub fn profile_of(&self, service: &ObjectKey) -> Option<(&str, &ProfileFacts)> {
        let host = format!("{}.{}.svc.", service.name, service.namespace);
        let of_it = |(key, _): &(&ObjectKey, &ProfileFacts)| {
            key.namespace == service.namespace && key.name.starts_with(&host)
        };
        self.profiles.iter().find(of_it).map(|(key, profile)| (&*key.name, profile))
    }

    pub fn set_profile(&mut self, key: ObjectKey, profile: ProfileFacts) {
        self.profiles.insert(key, profile);
    }

    pub fn remove_profile(&mut self, key: &ObjectKey) {
        self.profiles.remove(key);
    }

    pub fn profile_keys(&self) -> Vec<ObjectKey> {
        self.profiles.keys().cloned().collect()
    }

    /// What tells the endpoints of a Service apart, ready or not; nothing where one of its members
    /// cannot be seen.
    pub fn identities_of(&self, service: &ObjectKey) -> BTreeSet<u64> {
        if let Some(ServiceKind::Elsewhere(members)) = self.service(service).map(|s| &s.kind) {
            return self.identities_of_members(service, members).unwrap_or_default();
        }
        let slices = self.slices.get(service).into_iter().flat_map(HashMap::values);
        slices.flat_map(|slice| slice.facts.identities()).collect()
    }

    /// The names of the Services of a namespace.
    pub fn services_in<'a>(&'a self, namespace: &'a str) -> impl Iterator<Item = &'a str> {
        let keys = self.services.keys().filter(move |key| *key.namespace == *namespace);
        keys.map(|key| &*key.name)
    }

    /// The objects that name a Service, as apex or as backend.
    pub fn objects_naming(&self, service: &ObjectKey) -> impl Iterator<Item = &ObjectKey> {
        self.named_by.get(service).into_iter().flatten()
    }

    /// The health of each of an intent's backends, in its order; `now` by the steady clock.
    pub fn health(&self, namespace: &str, intent: &Intent, now: Timestamp) -> Vec<Health> {
        let apex = self.services.get(&ObjectKey::new(namespace, &intent.apex));
        let backends = intent.backends.iter().map(|b| ObjectKey::new(namespace, &b.name));
        backends.map(|backend| self.backend_health(&backend, apex, now)).collect()
    }

    fn backend_health(
        &self,
        backend: &ObjectKey,
        apex: Option<&ServiceFacts>,
        now: Timestamp,
    ) -> Health {
        let Some(service) = self.services.get(backend) else { return Health::Missing };
        match &service.kind {
            ServiceKind::ExternalName => Health::ExternalName,
            ServiceKind::Elsewhere(members) => {
                let peak = self.past.get(backend).map_or(0, |past| past.peak.most(now));
                self.union(backend, service, members, apex).health(peak)
            }
            ServiceKind::Slices => {
                let ports = apex.map(|apex| service.names_of(apex)).unwrap_or_default();
                let (ready, total) = self.count(backend, &ports);
                let peak =
                    self.past.get(backend).map_or(ready, |past| past.peak.most(now).max(ready));
                Health::Seen { ready, total, peak }
            }
        }
    }

    pub(super) fn count(&self, service: &ObjectKey, ports: &[&str]) -> (u32, u32) {
        let slices = self.slices.get(service).into_iter().flat_map(HashMap::values);
        endpoints::count(slices.map(|slice| &slice.facts), ports)
    }

    /// The endpoints of a Service that an object names, or the last it had, each by a number that
    /// is its own: Services that share endpoints share these.
    pub fn endpoints_of(&self, service: &ObjectKey) -> &[u64] {
        self.past.get(service).map_or(&[], |past| &past.endpoints)
    }

    /// When a replica other than this was last seen to move the traffic of any object.
    pub fn last_move_by_others(&self, than: &str) -> Option<Timestamp> {
        let others = self.moved.iter().filter(|(replica, _)| replica.as_ref() != than);
        others.map(|(_, at)| *at).max()
    }

    /// Notes the endpoints of a Service; only of Services that objects name.
    fn observe(&mut self, service: &ObjectKey) {
        if !self.named_by.contains_key(service) {
            return;
        }
        let ready = match self.services.get(service) {
            Some(facts) if matches!(facts.kind, ServiceKind::Elsewhere(_)) => {
                let union = self.union(service, facts, facts.members(), None);
                if !union.is_whole() {
                    return;
                }
                union.ready
            }
            _ => self.count(service, &[]).0,
        };
        let endpoints = self.identities_of(service);
        let past = self.past.entry(service.clone()).or_default();
        past.peak.observe(ready, self.now.steady);
        if !endpoints.is_empty() {
            past.endpoints = endpoints.into_iter().collect();
        }
    }

    /// A Service changed: notes it, and returns the objects that it concerns, also through the
    /// federated Services that it is a member of.
    pub(super) fn noticed(&mut self, service: &ObjectKey) -> Vec<ObjectKey> {
        let federated: Vec<ObjectKey> = self.remote.resting_here(service).cloned().collect();
        let mut affected = vec![];
        for service in federated.iter().chain([service]) {
            self.observe(service);
            affected.extend(self.objects_naming(service).cloned());
        }
        affected
    }

    /// Whether this very version of an object is there.
    pub fn has_version(&self, key: &ObjectKey, metadata: &ObjectMeta) -> bool {
        let same = |there: &Managed| {
            Some(&there.uid) == metadata.uid.as_ref()
                && Some(&there.resource_version) == metadata.resource_version.as_ref()
        };
        self.object(key).is_some_and(same)
    }

    /// Puts an object in, unless a newer version of it is there. Returns what to decide anew.
    pub fn set_object(&mut self, key: ObjectKey, mut object: Managed) -> Vec<ObjectKey> {
        let there =
            self.objects.get(&key).map(|there| (there.decision() == object.decision(), there.seen));
        object.seen = self.now.steady;
        if let Some(state) = &mut object.state {
            state.pending = self.now.heard(&state.pending);
        }
        match (there, &object.decider) {
            (Some((true, seen)), _) => object.seen = seen,
            (Some((false, _)), Some(by)) if self.moved.len() < REPLICAS => {
                self.moved.insert(by.replica.clone(), self.now.steady);
            }
            _ => {}
        }
        let keeps = |there: &Managed| {
            there.uid == object.uid && is_older(&object, there) || *there == object
        };
        if self.objects.get(&key).is_some_and(|there| keeps(there)) {
            return vec![];
        }
        if self.objects.get(&key).is_none_or(|there| there.services != object.services) {
            self.remote.reconsider();
        }
        self.unname(&key);
        for service in &object.services {
            let service = key.beside(service);
            self.named_by.entry(service.clone()).or_default().insert(key.clone());
            if !self.past.contains_key(&service) {
                self.observe(&service);
            }
        }
        self.objects.insert(key.clone(), Box::new(object));
        vec![key]
    }

    pub fn remove_object(&mut self, key: &ObjectKey) -> Vec<ObjectKey> {
        self.unname(key);
        if let Some(object) = self.objects.remove(key) {
            self.remote.reconsider();
            for service in &object.services {
                let service = key.beside(service);
                if !self.named_by.contains_key(&service) {
                    self.past.remove(&service);
                }
            }
            return vec![key.clone()];
        }
        vec![]
    }

    fn unname(&mut self, key: &ObjectKey) {
        let Some(object) = self.objects.get(key) else { return };
        for service in &object.services {
            let service = key.beside(service);
            if let Some(objects) = self.named_by.get_mut(&service) {
                objects.remove(key);
                if objects.is_empty() {
                    self.named_by.remove(&service);
                }
            }
        }
    }

    pub fn set_service(&mut self, key: ObjectKey, service: ServiceFacts) -> Vec<ObjectKey> {
        if self.services.get(&key) == Some(&service) {
            return vec![];
        }
        let members = self.services.get(&key).map_or(&[][..], ServiceFacts::members);
        self.remote.rest(&key, members, service.members());
        self.services.insert(key.clone(), service);
        self.noticed(&key)
    }

    pub fn remove_service(&mut self, key: &ObjectKey) -> Vec<ObjectKey> {
        if let Some(service) = self.services.remove(key) {
            self.remote.rest(key, service.members(), &[]);
        }
        self.noticed(key)
    }

    /// Puts a slice in under the Service it belongs to now; no facts take it out. What is older
    /// than what is there is ignored.
    pub fn set_slice(
        &mut self,
        slice: ObjectKey,
        version: u64,
        service: Option<ObjectKey>,
        facts: Option<SliceFacts>,
    ) -> Vec<ObjectKey> {
        if self.knows_better(&slice, version) {
            return vec![];
        }
        let (Some(service), Some(facts)) = (service, facts) else {
            return self.remove_slice(&slice);
        };
        let mut affected = vec![];
        if self.service_of_slice.get(&slice).is_some_and(|before| *before != service) {
            affected = self.remove_slice(&slice);
        }
        let slices = self.slices.entry(service.clone()).or_default();
        let there = slices.insert(slice.name.clone(), Slice { version, facts });
        if there.is_none_or(|there| there.facts != slices[&slice.name].facts) {
            affected.extend(self.noticed(&service));
        }
        self.service_of_slice.insert(slice, service);
        affected
    }

    fn knows_better(&self, slice: &ObjectKey, version: u64) -> bool {
        let there = self.service_of_slice.get(slice).and_then(|service| self.slices.get(service));
        let newer = there
            .and_then(|slices| slices.get(&slice.name))
            .is_some_and(|there| there.version > version);
        newer || self.gone.get(slice).is_some_and(|gone| *gone >= version)
    }

    pub fn remove_slice(&mut self, slice: &ObjectKey) -> Vec<ObjectKey> {
        let Some(service) = self.service_of_slice.remove(slice) else { return vec![] };
        if let Some(slices) = self.slices.get_mut(&service) {
            slices.remove(&slice.name);
            if slices.is_empty() {
                self.slices.remove(&service);
            }
        }
        self.noticed(&service)
    }

    /// Takes in a consistent LIST of a Service's slices, made past the watch: whatever is older
    /// than `version` gives way to it. Returns the objects it concerns where it told something new.
    pub fn set_slices_of(
        &mut self,
        service: &ObjectKey,
        listed: Vec<(String, u64, Option<SliceFacts>)>,
        version: u64,
    ) -> Vec<ObjectKey> {
        let names: HashSet<&str> = listed.iter().map(|(name, ..)| name.as_str()).collect();
        let slices = self.slices.get(service).into_iter().flatten();
        let gone: Vec<ObjectKey> = slices
            .filter(|(name, slice)| slice.version <= version && !names.contains(&***name))
            .map(|(name, _)| service.beside(name))
            .collect();
        let mut affected = vec![];
        for slice in gone {
            affected.extend(self.remove_slice(&slice));
            self.gone.insert(slice, version);
        }
        for (name, version, facts) in listed {
            let slice = service.beside(&name);
            affected.extend(self.set_slice(slice, version, Some(service.clone()), facts));
        }
        affected
    }

    /// The watch of these slices has been listed anew: nothing older will be told.
    pub fn forget_gone_slices(&mut self, listed: impl Fn(&ObjectKey) -> bool) {
        self.gone.retain(|slice, _| !listed(slice));
    }

    /// Takes in what people said for the whole cluster.
    pub fn set_cluster_wide(&mut self, said: ClusterWide) -> Vec<ObjectKey> {
        if std::mem::replace(&mut self.cluster_wide, said) == said {
            return vec![];
        }
        self.object_keys()
    }

    /// The keys of everything of a kind, to tell after a LIST what has gone.
    pub fn object_keys(&self) -> Vec<ObjectKey> {
        self.objects.keys().cloned().collect()
    }

    pub fn service_keys(&self) -> Vec<ObjectKey> {
        self.services.keys().cloned().collect()
    }

    pub fn slice_keys(&self) -> Vec<ObjectKey> {
        self.service_of_slice.keys().cloned().collect()
    }

    /// Another managed object on the same apex that wins over this one: the older, then the name.
    pub fn winner_over(&self, key: &ObjectKey, apex: &str, created: i64) -> Option<&ObjectKey> {
        let apex_key = key.beside(apex);
        let others = self.objects_naming(&apex_key).filter(|other| *other != key);
        others
            .filter(|other| {
                let Some(object) = self.objects.get(other) else { return false };
                let same_apex = object.intent.as_ref().is_ok_and(|intent| intent.apex == apex);
                same_apex && (object.created, *other) < (created, key)
            })
            .min()
    }
}

/// Whether a version comes before another. Resource versions are numbers that grow, by the API's
/// own word since Kubernetes 1.35; where one is not a number, the newer arrival counts as newer.
fn is_older(object: &Managed, than: &Managed) -> bool {
    let version = |m: &Managed| m.resource_version.parse::<u64>().ok();
    match (version(object), version(than)) {
        (Some(this), Some(there)) => this < there,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::super::endpoints::Families;
    use super::*;
    use serde_json::json;

    fn slice(ready: usize) -> Option<SliceFacts> {
        let endpoints: Vec<_> =
            (0..ready).map(|i| json!({"addresses": [format!("10.0.0.{i}")]})).collect();
        let slice = json!({"addressType": "IPv4", "metadata": {}, "endpoints": endpoints});
        SliceFacts::read(&serde_json::from_value(slice).unwrap(), Families::default())
    }

    fn ready(index: &Index, service: &ObjectKey) -> u32 {
        index.count(service, &[]).0
    }

    #[test]
    fn what_the_watch_tells_late_does_not_undo_what_a_list_has_shown() {
        let (service, key) = (ObjectKey::new("ns", "svc"), ObjectKey::new("ns", "svc-1"));
        let mut index = Index::default();
        index.set_slice(key.clone(), 10, Some(service.clone()), slice(1));
        index.set_slices_of(&service, vec![("svc-1".into(), 20, slice(0))], 25);
        assert_eq!(ready(&index, &service), 0);
        // A watch that had fallen behind.
        index.set_slice(key.clone(), 15, Some(service.clone()), slice(1));
        assert_eq!(ready(&index, &service), 0);
        index.set_slice(key.clone(), 30, Some(service.clone()), slice(2));
        assert_eq!(ready(&index, &service), 2);

        // Gone by the LIST: only what came after it counts.
        index.set_slices_of(&service, vec![], 40);
        index.set_slice(key.clone(), 35, Some(service.clone()), slice(1));
        assert_eq!(ready(&index, &service), 0);
        index.set_slice(key.clone(), 41, Some(service.clone()), slice(1));
        assert_eq!(ready(&index, &service), 1);
    }

    #[test]
    fn a_list_does_not_take_away_what_is_younger_than_it() {
        let (service, key) = (ObjectKey::new("ns", "svc"), ObjectKey::new("ns", "svc-1"));
        let mut index = Index::default();
        index.set_slice(key, 50, Some(service.clone()), slice(1));
        index.set_slices_of(&service, vec![], 40);
        index.set_slices_of(&service, vec![("svc-1".into(), 30, slice(0))], 40);
        assert_eq!(ready(&index, &service), 1);
    }

    #[test]
    fn a_slice_that_changes_its_service_counts_for_the_new_one_only() {
        let (one, two) = (ObjectKey::new("ns", "one"), ObjectKey::new("ns", "two"));
        let key = ObjectKey::new("ns", "slice");
        let mut index = Index::default();
        index.set_slice(key.clone(), 1, Some(one.clone()), slice(1));
        index.set_slice(key.clone(), 2, Some(two.clone()), slice(1));
        assert_eq!((ready(&index, &one), ready(&index, &two)), (0, 1));
        index.set_slice(key, 3, None, None);
        assert_eq!(ready(&index, &two), 0);
    }
}
