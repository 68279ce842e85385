//! The managed objects in the index: which facts enter, and which objects a change concerns.

use crate::engine::SteadyTime;
use crate::index::announced_pods::recorded_pods;
use crate::index::managed_object::ManagedObject;
use crate::index::order::{Arrival, Freshness, Order, Ticket};
use crate::index::store::Index;
use crate::kinds::{Kind, ObjectKey, ObjectRef};
use kube::core::ObjectMeta;

/// More names of replicas than this are not remembered: anybody may write a state.
const REPLICAS: usize = 1_000;

impl Index {
    /// The objects that name a Service, as apex or as backend.
    pub(crate) fn objects_naming(
        &self,
        service: &ObjectKey,
    ) -> impl Iterator<Item = &ObjectRef> + use<'_> {
        self.named_by.get(service).into_iter().flatten()
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

    /// Puts an object in, as the watch reports it. Returns the objects that it concerns.
    #[cfg(test)]
    pub(crate) fn set_object(&mut self, key: ObjectRef, object: ManagedObject) -> Vec<ObjectRef> {
        self.enter_object(key, object, Arrival::Watched)
    }

    /// Puts an object in, where it may enter. Returns the objects that it concerns.
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

    /// All objects, and those that are gone or unmanaged while a ServiceProfile is still written for
    /// them.
    pub(crate) fn object_refs(&self) -> Vec<ObjectRef> {
        let gone = self.profiles.marked_splits().filter(|split| !self.objects.contains_key(*split));
        let gone = gone.filter(|_| self.writes_profiles);
        self.objects.keys().chain(gone).cloned().collect()
    }

    /// When a replica other than this was last seen to move the traffic of any object.
    pub(crate) fn last_move_by_others(&self, than: &str) -> Option<SteadyTime> {
        let others = self.moved.iter().filter(|(replica, _)| replica.as_ref() != than);
        others.map(|(_, at)| *at).max()
    }

    /// Of the managed splits on an apex the one that steers: the oldest, then the first by name.
    pub(crate) fn first_split_on(&self, apex: &ObjectKey) -> Option<&ObjectRef> {
        let splits = self.objects_naming(apex).filter(|object| object.kind.needs_service_profile());
        let on_it = splits.filter_map(|split| {
            let managed = self.object(split)?;
            let is_apex = managed.apexes().iter().any(|name| split.beside(name) == *apex);
            is_apex.then_some((managed.created, split))
        });
        on_it.min().map(|(_, split)| split)
    }
}

#[cfg(test)]
#[path = "index_tests.rs"]
mod tests;
