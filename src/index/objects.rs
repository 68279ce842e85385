//! The managed objects in the index: which facts enter, and which objects a change concerns.

use crate::engine::SteadyTime;
use crate::index::managed_object::ManagedObject;
use crate::index::order::{Arrival, Freshness, Order, Ticket};
use crate::index::store::Index;
use crate::kinds::{Kind, ObjectKey, ObjectRef};
use kube::core::ObjectMeta;

/// Up to so many objects of a Service have no room left over.
const FEW: usize = 4;

/// The most replicas that are remembered: anybody may write a state.
const REPLICAS: usize = 1_000;

impl Index {
    /// The objects that name a Service, as apex or as backend.
    pub(crate) fn objects_naming(
        &self,
        service: &ObjectKey,
    ) -> impl Iterator<Item = &ObjectRef> + use<'_> {
        self.named_by.get(service).into_iter().flatten()
    }

    /// The objects that send traffic to a Service, or may: those that have it among their backends.
    pub(crate) fn objects_with_backend(
        &self,
        service: &ObjectKey,
    ) -> impl Iterator<Item = (&ObjectRef, &ManagedObject)> {
        let objects = self.objects_naming(service);
        objects.filter_map(|object| Some((object, self.object(object)?))).filter(
            |(object, managed)| {
                let mut backends = managed.readable().iter().flat_map(|set| &set.intent.backends);
                backends.any(|backend| object.beside(&backend.name) == *service)
            },
        )
    }

    /// Whether the index has this version of an object.
    pub(crate) fn has_version(&self, key: &ObjectRef, metadata: &ObjectMeta) -> bool {
        let same = |there: &ManagedObject| {
            Some(&there.uid) == metadata.uid.as_ref()
                && Some(&there.resource_version) == metadata.resource_version.as_ref()
        };
        self.object(key).is_some_and(same)
    }

    /// A ticket for a write of an object, or of its ServiceProfiles.
    pub(crate) fn ticket(&self, object: &ObjectRef) -> Ticket {
        self.orders[object.kind as usize].ticket(&object.key)
    }

    pub(crate) fn order_of(&mut self, kind: Kind) -> &mut Order {
        &mut self.orders[kind as usize]
    }

    /// Enters an object, as the watch reports it. Returns the objects that it concerns.
    #[cfg(test)]
    pub(crate) fn set_object(&mut self, key: ObjectRef, object: ManagedObject) -> Vec<ObjectRef> {
        self.enter_object(key, object, Arrival::Watched)
    }

    /// Enters an object where it is the newest. Returns the objects that it concerns.
    pub(crate) fn enter_object(
        &mut self,
        mut key: ObjectRef,
        object: ManagedObject,
        arrival: Arrival<'_>,
    ) -> Vec<ObjectRef> {
        self.namespaces_of_facts.share(&mut key.key.namespace);
        let version = object.resource_version.parse().unwrap_or_default();
        let order = &mut self.orders[key.kind as usize];
        match order.enter(&key.key, version, &key.key, arrival) {
            Freshness::Newest => self.put_object(key, object),
            Freshness::Deleted => self.remove_object(&key),
            Freshness::Stale => vec![],
        }
    }

    fn put_object(&mut self, key: ObjectRef, mut object: ManagedObject) -> Vec<ObjectRef> {
        if let Some(decider) = &mut object.decider {
            self.deciders.share(decider);
        }
        object.start_clocks(self.now);
        object.follow_namespace(self.namespace_default(&key.key.namespace));
        self.announced_pods.record(&object.recorded_pods, self.now.steady);
        object.seen = self.observe_decision(&key, &object);
        if self.object(&key) == Some(&object) {
            return vec![];
        }
        let before = self.objects.insert(key.clone(), Box::new(object));
        self.replaced(key, before.as_deref())
    }

    pub(crate) fn remove_object(&mut self, key: &ObjectRef) -> Vec<ObjectRef> {
        let before = self.objects.remove(key);
        before.map_or_else(Vec::new, |before| self.replaced(key.clone(), Some(&before)))
    }

    /// Since when the decision that an object records is known. Remembers who has moved its traffic.
    fn observe_decision(&mut self, key: &ObjectRef, object: &ManagedObject) -> SteadyTime {
        let now = self.now.steady;
        let known =
            self.object(key).map(|known| (known.decision() == object.decision(), known.seen));
        match (known, &object.decider) {
            (Some((true, seen)), _) => seen,
            (Some((false, _)), Some(by)) if self.moved.len() < REPLICAS => {
                self.moved.insert(by.replica.clone(), now);
                now
            }
            _ => now,
        }
    }

    /// Follows the replacement or the removal of an object. Returns it, and the splits that now steer the
    /// apexes that it no longer has.
    fn replaced(&mut self, key: ObjectRef, before: Option<&ManagedObject>) -> Vec<ObjectRef> {
        self.update_names(&key, before);
        let apexes = self.object(&key).map(ManagedObject::apexes);
        let lost = before.map(ManagedObject::apexes).filter(|before| apexes != Some(*before));
        let lost = lost.into_iter().flatten().filter(|_| self.writes_profiles);
        let steering = lost.filter_map(|apex| self.first_split_on(&key.beside(apex)).cloned());
        let steering: Vec<ObjectRef> = steering.collect();
        [key].into_iter().chain(steering).collect()
    }

    /// Updates which objects name a Service, after the replacement or the removal of one. The history of a
    /// Service is dropped with the last object that names it.
    fn update_names(&mut self, key: &ObjectRef, before: Option<&ManagedObject>) {
        let names = |object: &ManagedObject| -> Vec<ObjectKey> {
            object.services().into_iter().map(|name| key.beside(name)).collect()
        };
        let before = before.map(names).unwrap_or_default();
        let now = self.object(key).map(names).unwrap_or_default();
        if before == now {
            return;
        }
        self.remote.objects_changed();
        for service in &before {
            if let Some(objects) = self.named_by.get_mut(service) {
                if let Ok(place) = objects.binary_search(key) {
                    objects.remove(place);
                }
                if objects.is_empty() {
                    self.named_by.remove(service);
                }
            }
        }
        for service in &now {
            let objects = self.named_by.entry(service.clone()).or_default();
            if let Err(place) = objects.binary_search(key) {
                // Few objects name a Service, of which there are many.
                if objects.len() < FEW {
                    objects.reserve_exact(1);
                }
                objects.insert(place, key.clone());
            }
            if !self.past.contains_key(service) {
                self.observe(service);
            }
        }
        for service in before.iter().filter(|service| !self.named_by.contains_key(*service)) {
            self.past.remove(service);
        }
    }

    /// Another managed object on one of the same apexes that has precedence: the older one, then the first
    /// by name.
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
    /// one. Routes of one kind share an apex: their rules add up.
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

    /// All objects, and the splits that are gone or unmanaged while a ServiceProfile is still written for
    /// them.
    pub(crate) fn object_refs(&self) -> Vec<ObjectRef> {
        let gone = self.profiles.marked_splits().filter(|split| !self.objects.contains_key(*split));
        let gone = gone.filter(|_| self.writes_profiles);
        self.objects.keys().chain(gone).cloned().collect()
    }

    /// When another replica was last seen to move the traffic of any object.
    pub(crate) fn last_move_by_others(&self, than: &str) -> Option<SteadyTime> {
        let others = self.moved.iter().filter(|(replica, _)| replica.as_ref() != than);
        others.map(|(_, at)| *at).max()
    }

    /// Whether any object asks that no request is lost.
    pub(crate) fn has_seamless(&self) -> bool {
        self.objects.values().any(|managed| {
            let first = managed.readable().first();
            first.is_some_and(|set| set.intent.policy.protection.is_seamless())
        })
    }

    /// The managed split that steers an apex: the oldest, then the first by name.
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
#[path = "objects_tests.rs"]
mod tests;
