//! The index: facts by object, and from a Service to the objects that name it.

use super::endpoints::{self, SliceFacts};
use super::grants::GrantFacts;
use super::managed::Managed;
use super::namespace::ClusterWide;
use super::part::Forbidden;
use super::peak::Peak;
use super::profile_table::ProfileTable;
use super::remote::Remote;
use super::services::{Asked, ServiceFacts, ServiceKind};
use super::slices::{Slices, ToldSlice};
use crate::failover::{Backend, Health, Intent, Now, Unknown};
use crate::resources::{Kind, ObjectKey, ObjectRef};
use jiff::Timestamp;
use kube::core::ObjectMeta;
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// More names of replicas than this are not remembered: anybody may write a state.
const REPLICAS: usize = 1_000;

/// Which kinds of facts are whole: listed since the last interruption of their watch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Synced {
    /// By [`Kind`]; a kind that the cluster does not have is whole.
    pub objects: [bool; Kind::ALL.len()],
    pub services: bool,
    pub slices: bool,
    pub namespace: bool,
    /// No decision about weights needs these, so nobody waits for them; what is to be written to
    /// profiles does.
    pub profiles: bool,
    pub grants: bool,
}

impl Synced {
    /// Everything is whole.
    pub const ALL: Self = Self {
        objects: [true; Kind::ALL.len()],
        services: true,
        slices: true,
        namespace: true,
        profiles: true,
        grants: true,
    };

    /// Whether everything is whole that a decision needs.
    pub fn all(self) -> bool {
        Self { profiles: true, grants: true, ..self } == Self::ALL
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
    /// The namespaces that are watched; empty: all.
    pub namespaces: Vec<String>,
    /// Boxed: a table keeps room for twice what it holds.
    objects: HashMap<ObjectRef, Box<Managed>>,
    /// By [`Kind`]: the version that the cluster serves and we read; none where it has no such kind.
    served: [Option<&'static str>; Kind::ALL.len()],
    services: HashMap<ObjectKey, ServiceFacts>,
    pub(super) profiles: ProfileTable,
    grants: BTreeMap<ObjectKey, GrantFacts>,
    /// The cluster does not have the kind ServiceProfile.
    pub no_profiles: bool,
    /// Of the clusters that are linked.
    pub remote: Remote,
    /// ServiceProfiles are written here: a change of one concerns its split.
    pub writes_profiles: bool,
    slices: Slices,
    /// Of Services that objects name.
    past: HashMap<ObjectKey, Past>,
    /// When a replica was last seen to move the traffic of an object.
    moved: HashMap<Box<str>, Timestamp>,
    /// From a Service to the objects that name it.
    named_by: HashMap<ObjectKey, BTreeSet<ObjectRef>>,
}

/// What was so of a Service before.
#[derive(Debug, Default)]
struct Past {
    peak: Peak,
    /// The last endpoints that it had.
    endpoints: Box<[u64]>,
}

impl Index {
    pub fn object(&self, key: &ObjectRef) -> Option<&Managed> {
        self.objects.get(key).map(|managed| &**managed)
    }

    pub fn objects(&self) -> impl ExactSizeIterator<Item = (&ObjectRef, &Managed)> {
        self.objects.iter().map(|(key, managed)| (key, &**managed))
    }

    pub fn service(&self, key: &ObjectKey) -> Option<&ServiceFacts> {
        self.services.get(key)
    }

    /// The linked clusters that any Service mirrors.
    pub fn mirrored_clusters(&self) -> impl Iterator<Item = &str> {
        self.services.values().filter_map(|service| service.mirrors.as_deref())
    }

    /// The ReferenceGrants of a namespace.
    pub fn grants_in<'a>(&'a self, namespace: &'a str) -> impl Iterator<Item = &'a GrantFacts> {
        let grants = self.grants.iter().filter(move |(key, _)| *key.namespace == *namespace);
        grants.map(|(_, grant)| grant)
    }

    pub fn set_grant(&mut self, key: ObjectKey, grant: GrantFacts) {
        self.grants.insert(key, grant);
    }

    pub fn remove_grant(&mut self, key: &ObjectKey) {
        self.grants.remove(key);
    }

    pub fn grant_keys(&self) -> Vec<ObjectKey> {
        self.grants.keys().cloned().collect()
    }

    /// What tells the endpoints of a Service apart, ready or not; nothing where one of its members
    /// cannot be seen.
    pub fn identities_of(&self, service: &ObjectKey) -> BTreeSet<u64> {
        if let Some(ServiceKind::Elsewhere(members)) = self.service(service).map(|s| &s.kind) {
            return self.identities_of_members(service, members).unwrap_or_default();
        }
        self.slices.of(service).flat_map(SliceFacts::identities).collect()
    }

    /// The names of the Services of a namespace.
    pub fn services_in<'a>(&'a self, namespace: &'a str) -> impl Iterator<Item = &'a str> {
        let keys = self.services.keys().filter(move |key| *key.namespace == *namespace);
        keys.map(|key| &*key.name)
    }

    /// The objects that name a Service, as apex or as backend.
    pub fn objects_naming(&self, service: &ObjectKey) -> impl Iterator<Item = &ObjectRef> {
        self.named_by.get(service).into_iter().flatten()
    }

    /// The health of each of an intent's backends, in its order; `now` by the steady clock.
    pub fn health(&self, namespace: &str, intent: &Intent, now: Timestamp) -> Vec<Health> {
        let own = ObjectKey::new(namespace, "");
        let apex = intent.apexes.first().and_then(|apex| self.services.get(&own.beside(apex)));
        let health = |backend: &Backend| {
            let asked = match (backend.port, apex) {
                (Some(port), _) => Asked::Port(port),
                (None, Some(apex)) => Asked::PortsOf(apex),
                (None, None) => Asked::Any,
            };
            self.backend_health(&own.beside(&backend.name), asked, now)
        };
        intent.backends.iter().map(health).collect()
    }

    /// Whether Services of this namespace are seen at all.
    fn watches(&self, namespace: &str) -> bool {
        self.namespaces.is_empty() || self.namespaces.iter().any(|n| n == namespace)
    }

    fn backend_health(&self, backend: &ObjectKey, asked: Asked<'_>, now: Timestamp) -> Health {
        if !self.watches(&backend.namespace) || self.forbidden.has(&backend.namespace) {
            return Health::Unknown(Unknown::NotWatched {
                namespace: backend.namespace.to_string(),
            });
        }
        let Some(service) = self.services.get(backend) else { return Health::Missing };
        match &service.kind {
            ServiceKind::ExternalName => Health::ExternalName,
            ServiceKind::Elsewhere(members) => {
                let peak = self.past.get(backend).map_or(0, |past| past.peak.most(now));
                self.union(backend, service, members, asked).health(peak)
            }
            ServiceKind::Slices => {
                let ports = service.names_of(asked);
                let (ready, total) = self.count(backend, &ports);
                let peak =
                    self.past.get(backend).map_or(ready, |past| past.peak.most(now).max(ready));
                Health::Seen { ready, total, peak }
            }
        }
    }

    pub(super) fn count(&self, service: &ObjectKey, ports: &[&str]) -> (u32, u32) {
        endpoints::count(self.slices.of(service), ports)
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
                let union = self.union(service, facts, facts.members(), Asked::Any);
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
    pub(super) fn noticed(&mut self, service: &ObjectKey) -> Vec<ObjectRef> {
        let federated: Vec<ObjectKey> = self.remote.resting_here(service).cloned().collect();
        let mut affected = vec![];
        for service in federated.iter().chain([service]) {
            self.observe(service);
            affected.extend(self.objects_naming(service).cloned());
        }
        affected
    }

    /// Whether this very version of an object is there.
    pub fn has_version(&self, key: &ObjectRef, metadata: &ObjectMeta) -> bool {
        let same = |there: &Managed| {
            Some(&there.uid) == metadata.uid.as_ref()
                && Some(&there.resource_version) == metadata.resource_version.as_ref()
        };
        self.object(key).is_some_and(same)
    }

    /// Puts an object in, unless a newer version of it is there. Returns what to decide anew.
    pub fn set_object(&mut self, key: ObjectRef, mut object: Managed) -> Vec<ObjectRef> {
        let there =
            self.objects.get(&key).map(|there| (there.decision() == object.decision(), there.seen));
        object.seen = self.now.steady;
        let sets = object.sets.as_deref_mut().unwrap_or_default();
        for state in sets.iter_mut().filter_map(|set| set.state.as_mut()) {
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
        let left = self.objects.get(&key).filter(|there| there.apexes() != object.apexes());
        let left = left.map(|there| there.apexes().to_vec()).unwrap_or_default();
        self.unname(&key);
        for service in &object.services {
            let service = key.beside(service);
            self.named_by.entry(service.clone()).or_default().insert(key.clone());
            if !self.past.contains_key(&service) {
                self.observe(&service);
            }
        }
        self.objects.insert(key.clone(), Box::new(object));
        self.heirs(key, &left)
    }

    pub fn remove_object(&mut self, key: &ObjectRef) -> Vec<ObjectRef> {
        self.unname(key);
        if let Some(object) = self.objects.remove(key) {
            self.remote.reconsider();
            for service in &object.services {
                let service = key.beside(service);
                if !self.named_by.contains_key(&service) {
                    self.past.remove(&service);
                }
            }
            return self.heirs(key.clone(), object.apexes());
        }
        vec![]
    }

    /// An object, and the splits that steer the apexes that it has left.
    fn heirs(&self, object: ObjectRef, left: &[String]) -> Vec<ObjectRef> {
        let mut affected = vec![object];
        for apex in left.iter().filter(|_| self.writes_profiles) {
            affected.extend(self.first_split_on(&affected[0].beside(apex)).cloned());
        }
        affected
    }

    fn unname(&mut self, key: &ObjectRef) {
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

    pub fn set_service(&mut self, key: ObjectKey, service: ServiceFacts) -> Vec<ObjectRef> {
        if self.services.get(&key) == Some(&service) {
            return vec![];
        }
        let members = self.services.get(&key).map_or(&[][..], ServiceFacts::members);
        self.remote.rest(&key, members, service.members());
        self.services.insert(key.clone(), service);
        self.noticed(&key)
    }

    pub fn remove_service(&mut self, key: &ObjectKey) -> Vec<ObjectRef> {
        if let Some(service) = self.services.remove(key) {
            self.remote.rest(key, service.members(), &[]);
        }
        self.noticed(key)
    }

    /// Puts a slice in under the Service it belongs to now; no facts take it out. What is older
    /// than what is there is ignored.
    pub fn set_slice(&mut self, told: ToldSlice) -> Vec<ObjectRef> {
        let changed = self.slices.set(told);
        self.all_noticed(changed)
    }

    pub fn remove_slice(&mut self, slice: &ObjectKey) -> Vec<ObjectRef> {
        let changed = self.slices.remove(slice);
        self.all_noticed(changed)
    }

    /// Takes in a consistent LIST of a Service's slices, made past the watch: whatever is older
    /// than `version` gives way to it. Returns the objects it concerns where it told something new.
    pub fn set_slices_of(
        &mut self,
        service: &ObjectKey,
        listed: Vec<ToldSlice>,
        version: u64,
    ) -> Vec<ObjectRef> {
        let changed = self.slices.confirm(service, listed, version);
        self.all_noticed(changed)
    }

    fn all_noticed(&mut self, services: BTreeSet<ObjectKey>) -> Vec<ObjectRef> {
        services.iter().flat_map(|service| self.noticed(service)).collect()
    }

    /// The watch of these slices has been listed anew: nothing older will be told.
    pub fn forget_gone_slices(&mut self, listed: impl Fn(&ObjectKey) -> bool) {
        self.slices.forget_gone(listed);
    }

    /// Takes in what people said for the whole cluster.
    pub fn set_cluster_wide(&mut self, said: ClusterWide) -> Vec<ObjectRef> {
        if std::mem::replace(&mut self.cluster_wide, said) == said {
            return vec![];
        }
        self.object_refs()
    }

    /// All objects, and those that are gone or unmanaged while a ServiceProfile is still written for
    /// them.
    pub fn object_refs(&self) -> Vec<ObjectRef> {
        let gone = self.marked_splits().filter(|split| !self.objects.contains_key(*split));
        let gone = gone.filter(|_| self.writes_profiles);
        self.objects.keys().chain(gone).cloned().collect()
    }

    /// The keys of everything of a kind, to tell after a LIST what has gone.
    pub fn service_keys(&self) -> Vec<ObjectKey> {
        self.services.keys().cloned().collect()
    }

    pub fn slice_keys(&self) -> Vec<ObjectKey> {
        self.slices.keys().cloned().collect()
    }

    /// Another managed object on one of the same apexes that wins over this one: the older, then the
    /// name. Routes of one kind have an apex together: their rules add up.
    pub fn winner_over(
        &self,
        object: &ObjectRef,
        apexes: &[String],
        created: i64,
    ) -> Option<&ObjectRef> {
        let clashes = |other: &ObjectRef| {
            *other != *object && (other.kind != object.kind || !object.kind.adds_up())
        };
        let services = apexes.iter().map(|apex| object.beside(apex));
        let mut others = BTreeSet::new();
        for service in services {
            others.extend(self.objects_naming(&service).filter(|other| {
                let managed = self.objects.get(other);
                let apexes = managed.map(|managed| managed.apexes()).unwrap_or_default();
                apexes.iter().any(|apex| other.beside(apex) == service)
            }));
        }
        let wins = |other: &&&ObjectRef| {
            self.objects
                .get(**other)
                .is_some_and(|managed| (managed.created, **other) < (created, object))
        };
        others.iter().filter(|other| clashes(other)).filter(wins).min().copied()
    }

    /// The version in which the cluster serves a kind that we read; none where it does not have it.
    pub fn served(&self, kind: Kind) -> Option<&'static str> {
        self.served[kind as usize]
    }

    pub fn set_served(&mut self, kind: Kind, version: Option<&'static str>) {
        self.served[kind as usize] = version;
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
