//! The index: facts by object, and from a Service to the objects that name it.

use crate::engine::Now;
use crate::engine::SteadyTime;
use crate::index::announced_pods::{AnnouncedPods, recorded_pods};
use crate::index::changed_services::ChangedServices;
use crate::index::cluster_settings::ClusterSettings;
use crate::index::endpoints::SliceFacts;
use crate::index::grants::GrantFacts;
use crate::index::history::ServiceHistory;
use crate::index::managed_object::ManagedObject;
use crate::index::order::{Arrival, Freshness, Order, Superseded, Ticket};
use crate::index::profile_table::ProfileTable;
use crate::index::remote::linked_clusters::LinkedClusters;
use crate::index::service_facts::ServiceFacts;
use crate::index::slice_table::{SliceTable, SliceUpdate};
use crate::index::watch_scope::ForbiddenNamespaces;
use crate::kinds::{Kind, ObjectKey, ObjectRef};
use kube::core::ObjectMeta;
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// More names of replicas than this are not remembered: anybody may write a state.
const REPLICAS: usize = 1_000;

/// Which kinds of facts are whole: listed since the last interruption of their watch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Synced {
    /// By [`Kind`]; a kind that the cluster does not have is whole. One that is not keeps only its own
    /// objects from being decided.
    pub objects: [bool; Kind::ALL.len()],
    /// By [`Kind`]: whether it has been listed since the start, or could not be.
    pub tried: [bool; Kind::ALL.len()],
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
    #[cfg(test)]
    pub(crate) const ALL: Self = Self {
        objects: [true; Kind::ALL.len()],
        tried: [true; Kind::ALL.len()],
        services: true,
        slices: true,
        namespace: true,
        profiles: true,
        grants: true,
    };

    /// Everything is whole that any decision needs, and every kind of object has been looked for.
    pub(crate) fn all(self) -> bool {
        self.lacking().is_empty()
    }

    /// What is not whole of that.
    pub(crate) fn lacking(self) -> Vec<&'static str> {
        let facts = [
            ("services", self.services),
            ("endpointslices", self.slices),
            ("the namespace", self.namespace),
        ];
        let kinds = Kind::ALL.map(|kind| (kind.plural(), self.tried[kind as usize]));
        let not_whole = facts.into_iter().chain(kinds).filter(|(_, whole)| !whole);
        not_whole.map(|(name, _)| name).collect()
    }
}

/// All facts that decisions are made from.
#[derive(Debug, Default)]
pub(crate) struct Index {
    pub synced: Synced,
    /// The moment of the change being made: whoever changes the index sets it.
    pub now: Now,
    pub cluster_wide: ClusterSettings,
    pub forbidden: ForbiddenNamespaces,
    /// The namespaces that are watched; empty: all.
    pub namespaces: Vec<String>,
    /// Boxed: a table keeps room for twice what it holds.
    objects: HashMap<ObjectRef, Box<ManagedObject>>,
    /// By [`Kind`]: the version that the cluster serves and we read; none where it has no such kind.
    served: [Option<&'static str>; Kind::ALL.len()],
    /// By [`Kind`].
    orders: [Order; Kind::ALL.len()],
    /// Every Service of the cluster: admission judges objects that are new to it from here.
    pub(crate) services: HashMap<ObjectKey, ServiceFacts>,
    pub(crate) service_order: Order,
    pub(crate) profiles: ProfileTable,
    grants: BTreeMap<ObjectKey, GrantFacts>,
    /// The cluster does not have the kind ServiceProfile.
    pub no_profiles: bool,
    /// Of the clusters that are linked.
    pub remote: LinkedClusters,
    /// ServiceProfiles are written here: a change of one concerns its split.
    pub writes_profiles: bool,
    pub(crate) slices: SliceTable,
    /// Of Services that objects name.
    pub(crate) past: HashMap<ObjectKey, ServiceHistory>,
    /// Services that have changed lately.
    pub(crate) changes: ChangedServices,
    /// Pods that are about to be deleted.
    pub(crate) departures: AnnouncedPods,
    /// When a replica was last seen to move the traffic of an object.
    moved: HashMap<Box<str>, SteadyTime>,
    /// From a Service to the objects that name it.
    pub(crate) named_by: HashMap<ObjectKey, BTreeSet<ObjectRef>>,
}

impl Index {
    pub(crate) fn object(&self, key: &ObjectRef) -> Option<&ManagedObject> {
        self.objects.get(key).map(|managed| &**managed)
    }

    pub(crate) fn objects(&self) -> impl ExactSizeIterator<Item = (&ObjectRef, &ManagedObject)> {
        self.objects.iter().map(|(key, managed)| (key, &**managed))
    }

    pub(crate) fn service(&self, key: &ObjectKey) -> Option<&ServiceFacts> {
        self.services.get(key)
    }

    pub(crate) fn services(&self) -> impl Iterator<Item = &ServiceFacts> {
        self.services.values()
    }

    /// The linked clusters that any Service mirrors.
    pub(crate) fn mirrored_clusters(&self) -> impl Iterator<Item = &str> {
        self.services.values().filter_map(|service| service.mirrors.as_deref())
    }

    /// The ReferenceGrants of a namespace.
    pub(crate) fn grants_in<'a>(
        &'a self,
        namespace: &'a str,
    ) -> impl Iterator<Item = &'a GrantFacts> {
        let grants = self.grants.iter().filter(move |(key, _)| *key.namespace == *namespace);
        grants.map(|(_, grant)| grant)
    }

    pub(crate) fn set_grant(&mut self, key: ObjectKey, grant: GrantFacts) {
        self.grants.insert(key, grant);
    }

    pub(crate) fn remove_grant(&mut self, key: &ObjectKey) {
        self.grants.remove(key);
    }

    pub(crate) fn grant_keys(&self) -> Vec<ObjectKey> {
        self.grants.keys().cloned().collect()
    }

    /// The names of the Services of a namespace.
    pub(crate) fn services_in<'a>(&'a self, namespace: &'a str) -> impl Iterator<Item = &'a str> {
        let keys = self.services.keys().filter(move |key| *key.namespace == *namespace);
        keys.map(|key| &*key.name)
    }

    /// The objects that name a Service, as apex or as backend.
    pub(crate) fn objects_naming(
        &self,
        service: &ObjectKey,
    ) -> impl Iterator<Item = &ObjectRef> + use<'_> {
        self.named_by.get(service).into_iter().flatten()
    }

    /// Whether Services of this namespace are seen at all.
    pub(crate) fn watches(&self, namespace: &str) -> bool {
        self.namespaces.is_empty() || self.namespaces.iter().any(|n| n == namespace)
    }

    /// When a replica other than this was last seen to move the traffic of any object.
    pub(crate) fn last_move_by_others(&self, than: &str) -> Option<SteadyTime> {
        let others = self.moved.iter().filter(|(replica, _)| replica.as_ref() != than);
        others.map(|(_, at)| *at).max()
    }

    /// A Service changed: notes it, and returns the objects that it concerns, also through the
    /// federated Services that it is a member of.
    pub(crate) fn noticed(&mut self, service: &ObjectKey) -> Vec<ObjectRef> {
        if self.changes.awaits(service) {
            self.changes.observe(service, self.slices.fingerprint(service));
        }
        let federated: Vec<ObjectKey> = self.remote.resting_here(service).cloned().collect();
        let mut affected = vec![];
        for service in federated.iter().chain([service]) {
            self.observe(service);
            affected.extend(self.objects_naming(service).cloned());
        }
        affected
    }

    /// Whether this very version of an object is there.
    pub(crate) fn has_version(&self, key: &ObjectRef, metadata: &ObjectMeta) -> bool {
        let same = |there: &ManagedObject| {
            Some(&there.uid) == metadata.uid.as_ref()
                && Some(&there.resource_version) == metadata.resource_version.as_ref()
        };
        self.object(key).is_some_and(same)
    }

    /// A write of an object, or of what is written for it, is about to begin.
    pub(crate) fn ticket(&self, object: &ObjectRef) -> Ticket {
        self.orders[object.kind as usize].ticket(&object.key)
    }

    pub(crate) fn order_of(&mut self, kind: Kind) -> &mut Order {
        &mut self.orders[kind as usize]
    }

    /// Puts in what the watch says of an object. Returns what to decide anew.
    #[cfg(test)]
    pub(crate) fn set_object(&mut self, key: ObjectRef, object: ManagedObject) -> Vec<ObjectRef> {
        self.enter_object(key, object, Arrival::Watched)
    }

    /// Puts an object in, where it may enter. Returns what to decide anew.
    pub(crate) fn enter_object(
        &mut self,
        key: ObjectRef,
        mut object: ManagedObject,
        arrival: Arrival<'_>,
    ) -> Vec<ObjectRef> {
        let version = object.resource_version.parse().unwrap_or_default();
        let order = &mut self.orders[key.kind as usize];
        match order.enter(&key.key, version, &key.key, arrival) {
            Freshness::Enters => {}
            Freshness::Leaves => return self.remove_object(&key),
            Freshness::Late => return vec![],
        }
        let there =
            self.objects.get(&key).map(|there| (there.decision() == object.decision(), there.seen));
        object.seen = self.now.steady;
        let sets = object.sets.as_deref_mut().unwrap_or_default();
        for set in sets {
            if let Some(state) = &set.state {
                set.pending = self.now.to_steady(&state.pending);
            }
        }
        if !object.recorded_pods.is_empty() {
            let recorded = std::mem::take(&mut object.recorded_pods);
            object.leaving = recorded_pods(&self.now.to_steady(&recorded));
        }
        self.departures.record(&object.leaving, self.now.steady);
        match (there, &object.decider) {
            (Some((true, seen)), _) => object.seen = seen,
            (Some((false, _)), Some(by)) if self.moved.len() < REPLICAS => {
                self.moved.insert(by.replica.clone(), self.now.steady);
            }
            _ => {}
        }
        if self.objects.get(&key).is_some_and(|there| **there == object) {
            return vec![];
        }
        if self.objects.get(&key).is_none_or(|there| there.services != object.services) {
            self.remote.reconsider();
        }
        let left = self.objects.get(&key).filter(|there| there.apexes() != object.apexes());
        let left = left.map(|there| there.apexes().to_vec()).unwrap_or_default();
        let named = self.unname(&key);
        for service in &object.services {
            let service = key.beside(service);
            self.named_by.entry(service.clone()).or_default().insert(key.clone());
            if !self.past.contains_key(&service) {
                self.observe(&service);
            }
        }
        self.forget_unnamed(&named);
        self.objects.insert(key.clone(), Box::new(object));
        self.heirs(key, &left)
    }

    pub(crate) fn remove_object(&mut self, key: &ObjectRef) -> Vec<ObjectRef> {
        let named = self.unname(key);
        self.forget_unnamed(&named);
        if let Some(object) = self.objects.remove(key) {
            self.remote.reconsider();
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

    /// An object names nothing any more. Returns what it did.
    fn unname(&mut self, key: &ObjectRef) -> Vec<ObjectKey> {
        let Some(object) = self.objects.get(key) else { return vec![] };
        let named: Vec<ObjectKey> = object.services.iter().map(|name| key.beside(name)).collect();
        for service in &named {
            if let Some(objects) = self.named_by.get_mut(service) {
                objects.remove(key);
                if objects.is_empty() {
                    self.named_by.remove(service);
                }
            }
        }
        named
    }

    /// Forgets what is kept of Services for as long as an object names them.
    fn forget_unnamed(&mut self, services: &[ObjectKey]) {
        for service in services {
            if !self.named_by.contains_key(service) {
                self.past.remove(service);
            }
        }
    }

    /// Whether an object's traffic may go to the endpoints of a Service.
    fn is_rested_on(&self, service: &ObjectKey) -> bool {
        self.named_by.contains_key(service) || self.remote.resting_here(service).next().is_some()
    }

    /// Puts a Service in, as the watch says it is.
    /// The Service of a slice that follows a change of it which has not been told here yet: each
    /// comes by a watch of its own.
    fn overtaken_by<'a>(&self, told: &'a SliceUpdate) -> Option<&'a ObjectKey> {
        let (service, now) = (told.service.as_ref()?, told.facts.as_ref()?);
        let (before, facts) = (self.slices.get(&told.slice)?, self.services.get(service)?);
        let overtakes = self.is_rested_on(service) && now.overtakes(before, &facts.ports);
        overtakes.then_some(service)
    }

    #[cfg(test)]
    pub(crate) fn set_service(&mut self, key: ObjectKey, service: ServiceFacts) -> Vec<ObjectRef> {
        self.enter_service(key, 0, service, Arrival::Watched)
    }

    /// Puts a Service in, where it may enter. Returns the objects that it concerns.
    pub(crate) fn enter_service(
        &mut self,
        key: ObjectKey,
        version: u64,
        service: ServiceFacts,
        arrival: Arrival<'_>,
    ) -> Vec<ObjectRef> {
        match self.service_order.enter(&key, version, &key, arrival) {
            Freshness::Enters => {}
            Freshness::Leaves => return self.remove_service(&key),
            Freshness::Late => return vec![],
        }
        if self.services.get(&key) == Some(&service) {
            return vec![];
        }
        let reshaped = |before: &ServiceFacts| before.shape != service.shape;
        let has_ready = || self.slices.of(&key).any(SliceFacts::has_ready);
        if self.services.get(&key).is_some_and(reshaped) && self.is_rested_on(&key) && has_ready() {
            self.changes.begin(&key, self.slices.fingerprint(&key), self.now.steady);
        }
        let members = self.services.get(&key).map_or(&[][..], ServiceFacts::members);
        self.remote.rest(&key, members, service.members());
        self.services.insert(key.clone(), service);
        self.noticed(&key)
    }

    pub(crate) fn remove_service(&mut self, key: &ObjectKey) -> Vec<ObjectRef> {
        if let Some(service) = self.services.remove(key) {
            self.remote.rest(key, service.members(), &[]);
        }
        self.noticed(key)
    }

    /// Puts a slice in, as the watch says it is.
    #[cfg(test)]
    pub(crate) fn set_slice(&mut self, told: SliceUpdate) -> Vec<ObjectRef> {
        self.enter_slice(told, Arrival::Watched)
    }

    /// Puts a slice in under the Service it belongs to now, where it may enter; no facts take it out.
    pub(crate) fn enter_slice(
        &mut self,
        told: SliceUpdate,
        arrival: Arrival<'_>,
    ) -> Vec<ObjectRef> {
        let overtaken = self.overtaken_by(&told).cloned();
        let changed = self.slices.enter(told, arrival);
        if let Some(service) = overtaken.filter(|service| changed.contains(service)) {
            self.changes.begin(&service, self.slices.fingerprint(&service), self.now.steady);
        }
        self.all_noticed(changed)
    }

    pub(crate) fn remove_slice(&mut self, slice: &ObjectKey) -> Vec<ObjectRef> {
        let changed = self.slices.remove(slice);
        self.all_noticed(changed)
    }

    /// Reads of a Service, and of its slices, past the watches are about to begin.
    pub(crate) fn service_tickets(&self, service: &ObjectKey) -> (Ticket, Ticket) {
        (self.service_order.ticket(service), self.slices.order.ticket(service))
    }

    /// Takes in a consistent LIST of a Service, made past the watch, with its version; it has none
    /// where there is no such Service. Returns the objects it concerns where it shows something new.
    pub(crate) fn confirm_service(
        &mut self,
        ticket: &Ticket,
        service: &ObjectKey,
        found: Option<(u64, ServiceFacts)>,
        at: u64,
    ) -> Result<Vec<ObjectRef>, Superseded> {
        self.service_order.places(ticket, service, at)?;
        let affected = match found {
            Some((version, facts)) => {
                self.enter_service(service.clone(), version, facts, Arrival::Answered(ticket))
            }
            None => {
                let goes = self.service_order.lack(ticket, service, at);
                let is_there = self.services.contains_key(service);
                if goes && is_there { self.remove_service(service) } else { vec![] }
            }
        };
        self.service_order.show(ticket, service, at);
        Ok(affected)
    }

    /// The same of its slices.
    pub(crate) fn confirm_slices(
        &mut self,
        ticket: &Ticket,
        service: &ObjectKey,
        listed: Vec<SliceUpdate>,
        at: u64,
    ) -> Result<Vec<ObjectRef>, Superseded> {
        let changed = self.slices.confirm(ticket, service, listed, at)?;
        Ok(self.all_noticed(changed))
    }

    fn all_noticed(&mut self, services: BTreeSet<ObjectKey>) -> Vec<ObjectRef> {
        services.iter().flat_map(|service| self.noticed(service)).collect()
    }

    /// Takes in what people said for the whole cluster.
    pub(crate) fn set_cluster_wide(&mut self, said: ClusterSettings) -> Vec<ObjectRef> {
        if std::mem::replace(&mut self.cluster_wide, said) == said {
            return vec![];
        }
        self.object_refs()
    }

    /// All objects, and those that are gone or unmanaged while a ServiceProfile is still written for
    /// them.
    pub(crate) fn object_refs(&self) -> Vec<ObjectRef> {
        let gone = self.marked_splits().filter(|split| !self.objects.contains_key(*split));
        let gone = gone.filter(|_| self.writes_profiles);
        self.objects.keys().chain(gone).cloned().collect()
    }

    /// The keys of everything of a kind, to tell after a LIST what has gone.
    pub(crate) fn service_keys(&self) -> Vec<ObjectKey> {
        self.services.keys().cloned().collect()
    }

    pub(crate) fn slice_keys(&self) -> Vec<ObjectKey> {
        self.slices.keys().cloned().collect()
    }

    /// Another managed object on one of the same apexes that wins over this one: the older, then the
    /// name.
    pub(crate) fn winner_over(
        &self,
        object: &ObjectRef,
        apexes: &[String],
        created: i64,
    ) -> Option<&ObjectRef> {
        self.clash(object, apexes, created)
            .filter(|(_, is_older)| *is_older)
            .map(|(other, _)| other)
    }

    /// The oldest other managed object on one of the same apexes, and whether it is older than this
    /// one. Routes of one kind have an apex together: their rules add up.
    pub(crate) fn clash(
        &self,
        object: &ObjectRef,
        apexes: &[String],
        created: i64,
    ) -> Option<(&ObjectRef, bool)> {
        let clashes = |other: &ObjectRef| {
            *other != *object && (other.kind != object.kind || !object.kind.adds_up())
        };
        let others = apexes.iter().flat_map(|apex| {
            let service = object.beside(apex);
            self.objects_naming(&service).filter(move |other| {
                let apexes = self.object(other).map(ManagedObject::apexes).unwrap_or_default();
                apexes.iter().any(|apex| other.beside(apex) == service)
            })
        });
        let age = |other: &ObjectRef| self.object(other).map_or(i64::MAX, |there| there.created);
        let oldest = others.filter(|other| clashes(other)).min_by_key(|o| (age(o), *o))?;
        Some((oldest, (age(oldest), oldest) < (created, object)))
    }

    /// The version in which the cluster serves a kind that we read; none where it does not have it.
    pub(crate) fn served(&self, kind: Kind) -> Option<&'static str> {
        self.served[kind as usize]
    }

    pub(crate) fn set_served(&mut self, kind: Kind, version: Option<&'static str>) {
        self.served[kind as usize] = version;
    }
}

#[cfg(test)]
#[path = "index_tests.rs"]
mod tests;
