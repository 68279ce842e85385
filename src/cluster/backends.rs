//! The health of backends: what the slices of a Service, or of those that it rests on, say of it.

use super::endpoints::{self, Counted, SliceFacts};
use super::index::Index;
use super::services::{Asked, ServiceKind};
use crate::failover::{Backend, Health, Intent, Unknown};
use crate::resources::ObjectKey;
use jiff::Timestamp;
use std::collections::BTreeSet;

impl Index {
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
                self.union(backend, service, members, asked, now).health(peak)
            }
            ServiceKind::Slices => {
                let counted = self.count(backend, &service.names_of(asked), now);
                counted.health(self.past.get(backend).map_or(0, |past| past.peak.most(now)))
            }
        }
    }

    pub(super) fn count(&self, service: &ObjectKey, ports: &[&str], now: Timestamp) -> Counted {
        let leaves = |pod| self.departures.until(pod, now);
        endpoints::count(self.slices.of(service), ports, leaves)
    }

    /// What tells the endpoints of a Service apart, ready or not; nothing where one of its members
    /// cannot be seen.
    pub fn identities_of(&self, service: &ObjectKey) -> BTreeSet<u64> {
        if let Some(ServiceKind::Elsewhere(members)) = self.service(service).map(|s| &s.kind) {
            return self.identities_of_members(service, members).unwrap_or_default();
        }
        self.slices.of(service).flat_map(SliceFacts::identities).collect()
    }

    /// The endpoints of a Service that an object names, or the last it had, each by a number that
    /// is its own: Services that share endpoints share these.
    pub fn endpoints_of(&self, service: &ObjectKey) -> &[u64] {
        self.past.get(service).map_or(&[], |past| &past.endpoints)
    }

    /// Notes the endpoints of a Service; only of Services that objects name.
    pub(super) fn observe(&mut self, service: &ObjectKey) {
        if !self.named_by.contains_key(service) {
            return;
        }
        let now = self.now.steady;
        let ready = match self.services.get(service) {
            Some(facts) if matches!(facts.kind, ServiceKind::Elsewhere(_)) => {
                let union = self.union(service, facts, facts.members(), Asked::Any, now);
                if !union.is_whole() {
                    return;
                }
                union.counted.ready
            }
            _ => self.count(service, &[], now).ready,
        };
        let endpoints = self.identities_of(service);
        let past = self.past.entry(service.clone()).or_default();
        past.peak.observe(ready, now);
        if !endpoints.is_empty() {
            past.endpoints = endpoints.into_iter().collect();
        }
    }
}
