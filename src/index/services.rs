//! The Services and slices in the index: which facts enter, and which objects a change concerns.

use crate::index::endpoints::SliceFacts;
use crate::index::order::{Arrival, Freshness, Superseded, Ticket};
use crate::index::service_facts::ServiceFacts;
use crate::index::slice_table::SliceUpdate;
use crate::index::store::Index;
use crate::kinds::{ObjectKey, ObjectRef};
use std::collections::BTreeSet;

impl Index {
    /// Records the endpoints of a Service that changed. Returns the objects that it concerns, also through
    /// the federated Services that it is a member of.
    pub(crate) fn service_changed(&mut self, service: &ObjectKey) -> Vec<ObjectRef> {
        if self.changes.awaits(service) {
            self.changes.observe(service, self.slices.fingerprint(service));
        }
        let federated: Vec<ObjectKey> = self.remote.federated_over(service).cloned().collect();
        let mut affected = vec![];
        for service in federated.iter().chain([service]) {
            let before = self.last_ready(service);
            self.observe(service);
            let has_more = self.last_ready(service) > before;
            self.is_recovery = Some(has_more && self.is_recovery.unwrap_or(true));
            affected.extend(self.objects_naming(service).cloned());
        }
        affected
    }

    /// How many endpoints of a Service that an object names were ready when it changed last.
    fn last_ready(&self, service: &ObjectKey) -> Option<u32> {
        self.past.get(service).map(|past| past.peak.last())
    }

    /// Whether traffic of an object may go to the endpoints of a Service.
    fn is_depended_on(&self, service: &ObjectKey) -> bool {
        self.named_by.contains_key(service) || self.remote.federated_over(service).next().is_some()
    }

    /// The Service of a slice that follows a change of the Service which has not arrived yet: each has a
    /// watch of its own.
    fn overtaken_by<'a>(&self, update: &'a SliceUpdate) -> Option<&'a ObjectKey> {
        let (before, now) = (self.slices.get(&update.slice), update.facts.as_ref());
        let overtakes = |service: &&ObjectKey| match (before, now, self.services.get(*service)) {
            (Some(before), Some(now), Some(facts)) => {
                self.is_depended_on(service) && now.overtakes(before, &facts.ports)
            }
            _ => false,
        };
        update.service.as_ref().filter(overtakes)
    }

    /// Enters a Service, as the watch reports it.
    #[cfg(test)]
    pub(crate) fn set_service(&mut self, key: ObjectKey, service: ServiceFacts) -> Vec<ObjectRef> {
        self.enter_service(key, 0, service, Arrival::Watched)
    }

    /// Enters a Service where it is the newest. Returns the objects that it concerns.
    pub(crate) fn enter_service(
        &mut self,
        mut key: ObjectKey,
        version: u64,
        service: ServiceFacts,
        arrival: Arrival<'_>,
    ) -> Vec<ObjectRef> {
        self.namespaces_of_facts.share(&mut key.namespace);
        match self.service_order.enter(&key, version, &key, arrival) {
            Freshness::Newest => self.put_service(key, service),
            Freshness::Deleted => self.remove_service(&key),
            Freshness::Stale => vec![],
        }
    }

    fn put_service(&mut self, key: ObjectKey, service: ServiceFacts) -> Vec<ObjectRef> {
        if self.services.get(&key) == Some(&service) {
            return vec![];
        }
        let reshaped = |before: &ServiceFacts| before.shape != service.shape;
        let has_ready = || self.slices.of(&key).any(SliceFacts::has_ready);
        if self.services.get(&key).is_some_and(reshaped) && self.is_depended_on(&key) && has_ready()
        {
            self.changes.begin(&key, self.slices.fingerprint(&key), self.now.steady);
        }
        let declared = self.services.get(&key).and_then(|before| before.declared_down.as_ref());
        if declared != service.declared_down.as_ref() {
            self.declared_revision += 1;
        }
        let members = self.services.get(&key).map_or(&[][..], ServiceFacts::members);
        self.remote.set_members(&key, members, service.members());
        self.services.insert(key.clone(), service);
        self.service_changed(&key)
    }

    pub(crate) fn remove_service(&mut self, key: &ObjectKey) -> Vec<ObjectRef> {
        if let Some(service) = self.services.remove(key) {
            self.declared_revision += u64::from(service.declared_down.is_some());
            self.remote.set_members(key, service.members(), &[]);
        }
        self.service_changed(key)
    }

    /// Enters a slice, as the watch reports it.
    #[cfg(test)]
    pub(crate) fn set_slice(&mut self, update: SliceUpdate) -> Vec<ObjectRef> {
        self.enter_slice(update, Arrival::Watched)
    }

    /// Enters a slice under its present Service where it is the newest; without facts it is removed.
    pub(crate) fn enter_slice(
        &mut self,
        mut update: SliceUpdate,
        arrival: Arrival<'_>,
    ) -> Vec<ObjectRef> {
        self.namespaces_of_facts.share(&mut update.slice.namespace);
        if let Some(service) = &mut update.service {
            self.namespaces_of_facts.share(&mut service.namespace);
        }
        let overtaken = self.overtaken_by(&update).cloned();
        let changed = self.slices.enter(update, arrival);
        if let Some(service) = overtaken.filter(|service| changed.contains(service)) {
            self.changes.begin(&service, self.slices.fingerprint(&service), self.now.steady);
        }
        self.services_changed(changed)
    }

    pub(crate) fn remove_slice(&mut self, slice: &ObjectKey) -> Vec<ObjectRef> {
        let changed = self.slices.remove(slice);
        self.services_changed(changed)
    }

    /// Tickets for LISTs of a Service and of its slices, past the watches.
    pub(crate) fn service_tickets(&self, service: &ObjectKey) -> (Ticket, Ticket) {
        (self.service_order.ticket(service), self.slices.order.ticket(service))
    }

    /// Enters a consistent LIST of a Service, past the watch: the Service with its version, if there is
    /// one. Returns the objects that it concerns, where it shows something new.
    pub(crate) fn confirm_service(
        &mut self,
        ticket: &Ticket,
        service: &ObjectKey,
        found: Option<(u64, ServiceFacts)>,
        at: u64,
    ) -> Result<Vec<ObjectRef>, Superseded> {
        self.service_order.check_answer(ticket, service, at)?;
        let affected = match found {
            Some((version, facts)) => {
                self.enter_service(service.clone(), version, facts, Arrival::Answered(ticket))
            }
            None => {
                let is_removed = self.service_order.answer_lacks(ticket, service, at);
                let is_there = self.services.contains_key(service);
                if is_removed && is_there { self.remove_service(service) } else { vec![] }
            }
        };
        self.service_order.answer_covers(ticket, service, at);
        Ok(affected)
    }

    /// Enters a consistent LIST of its slices.
    pub(crate) fn confirm_slices(
        &mut self,
        ticket: &Ticket,
        service: &ObjectKey,
        listed: Vec<SliceUpdate>,
        at: u64,
    ) -> Result<Vec<ObjectRef>, Superseded> {
        let changed = self.slices.confirm(ticket, service, listed, at)?;
        Ok(self.services_changed(changed))
    }

    fn services_changed(&mut self, services: BTreeSet<ObjectKey>) -> Vec<ObjectRef> {
        services.iter().flat_map(|service| self.service_changed(service)).collect()
    }

    /// The keys of all Services, to find after a LIST which are gone.
    pub(crate) fn service_keys(&self) -> Vec<ObjectKey> {
        self.services.keys().cloned().collect()
    }

    pub(crate) fn slice_keys(&self) -> Vec<ObjectKey> {
        self.slices.keys().cloned().collect()
    }
}
