//! The health of backends, from the slices of a Service or of its members.

use crate::engine::{self, Backend, Health, Intent, Now, Ports, SteadyTime, Unknown};
use crate::index::announced_pods::AnnouncedNow;
use crate::index::endpoint_count::{EndpointCount, PortEndpointCount};
use crate::index::endpoints::SliceFacts;
use crate::index::history::ServiceHistory;
use crate::index::service_facts::{RequestedPorts, ServiceFacts, ServiceKind, ServicePort};
use crate::index::store::Index;
use crate::kinds::ObjectKey;
use std::collections::BTreeSet;

impl Index {
    /// The health of each of an intent's backends, in its order.
    pub(crate) fn health(&self, namespace: &str, intent: &Intent, now: Now) -> Vec<Health> {
        let own = ObjectKey::new(namespace, "");
        let apex = intent.apexes.first().and_then(|apex| self.services.get(&own.beside(apex)));
        let health = |backend: &Backend| match &backend.fault {
            Some(fault) => fault.into(),
            None => {
                let asked = RequestedPorts::of(backend.port, apex);
                self.backend_health(&own.beside(&backend.name), asked, now)
            }
        };
        intent.backends.iter().map(health).collect()
    }

    fn backend_health(&self, backend: &ObjectKey, asked: RequestedPorts<'_>, now: Now) -> Health {
        let namespace = &backend.namespace;
        let is_watched = self.watches(namespace) && !self.forbidden.has(namespace);
        match self.services.get(backend) {
            _ if !is_watched => {
                Health::Unknown(Unknown::NotWatched { namespace: namespace.to_string() })
            }
            None => Health::Missing,
            Some(service) => {
                let health = self.service_health(backend, service, asked, now.steady);
                let health = self.unless_changed(backend, health, now.steady);
                match self.declared_down(service, now.wall) {
                    Some(declared) => declared.beside(health),
                    None => health,
                }
            }
        }
    }

    /// The health of a Service, unless it is not ready and its slices may still follow a change of it.
    fn unless_changed(&self, service: &ObjectKey, health: Health, now: SteadyTime) -> Health {
        match self.changes.until(service, now) {
            Some(until) if !health.is_ready() && !health.is_unknown() => {
                Health::Unknown(Unknown::Changed { until })
            }
            _ => health,
        }
    }

    fn service_health(
        &self,
        backend: &ObjectKey,
        service: &ServiceFacts,
        asked: RequestedPorts<'_>,
        now: SteadyTime,
    ) -> Health {
        let ports = service.asked_ports(asked);
        let past = self.past.get(backend);
        let seen = |counted: EndpointCount| seen(counted, &ports, asked, past, now);
        let health = match &service.kind {
            ServiceKind::Members(members) => self.union(backend, members, &ports, now).health(seen),
            ServiceKind::Slices => seen(self.count(backend, &own_names(&ports), now)),
            ServiceKind::ExternalName => Health::ExternalName,
        };
        let numbers = asked.numbers();
        match ports.is_empty() && !numbers.is_empty() && health.is_ready() {
            true => Health::Unknown(Unknown::no_such_port(&numbers)),
            false => health,
        }
    }

    /// The endpoints of a Service whose slices are here; `ports` are the names of the asked ones.
    pub(crate) fn count(
        &self,
        service: &ObjectKey,
        ports: &[Option<&str>],
        now: SteadyTime,
    ) -> EndpointCount {
        self.slices.count(service, ports, AnnouncedNow { pods: Some(&self.announced_pods), now })
    }

    /// The identities of the endpoints of a Service, ready or not; none where one of its members cannot be
    /// seen.
    pub(crate) fn identities_of(&self, service: &ObjectKey) -> BTreeSet<u64> {
        if let Some(ServiceKind::Members(members)) = self.service(service).map(|s| &s.kind) {
            return self.identities_of_members(service, members).unwrap_or_default();
        }
        self.slices.of(service).flat_map(SliceFacts::identities).collect()
    }

    /// The identities of the endpoints of a Service that an object names, or of the last that it had:
    /// Services that share endpoints share these.
    pub(crate) fn endpoints_of(&self, service: &ObjectKey) -> &[u64] {
        self.past.get(service).map_or(&[], |past| &past.endpoints)
    }

    /// Records the endpoints of a Service in its history, where an object names it.
    pub(crate) fn observe(&mut self, service: &ObjectKey) {
        if !self.named_by.contains_key(service) {
            return;
        }
        let now = self.now.steady;
        let facts = self.services.get(service);
        let declared = facts.map(|facts| facts.asked_ports(RequestedPorts::PortsOf(facts)));
        let declared = declared.unwrap_or_default();
        let counted = match facts {
            Some(facts) if matches!(facts.kind, ServiceKind::Members(_)) => {
                let union = self.union(service, facts.members(), &declared, now);
                if !union.is_complete() {
                    return;
                }
                union.counted
            }
            _ => self.count(service, &own_names(&declared), now),
        };
        let endpoints = self.identities_of(service);
        let past = self.past.entry(service.clone()).or_default();
        past.peak.observe(counted.ready, now);
        past.served.observe(&declared, &counted, now);
        if !endpoints.is_empty() {
            past.endpoints = endpoints.into_iter().collect();
        }
    }
}

/// The ports of a Service by its own names.
fn own_names<'a>(ports: &[&'a ServicePort]) -> Vec<Option<&'a str>> {
    ports.iter().map(|port| Some(port.name.as_str())).collect()
}

/// The health of so many endpoints, beside the history of the Service.
fn seen(
    counted: EndpointCount,
    ports: &[&ServicePort],
    asked: RequestedPorts<'_>,
    past: Option<&ServiceHistory>,
    now: SteadyTime,
) -> Health {
    let EndpointCount { ready, total, announced, ports: by_port } = counted;
    let several = asked.numbers().len() > 1;
    let plain = |ready: u32, total: u32, peak: u32| Health::Seen {
        ready,
        total,
        peak: peak.max(ready),
        announced,
        ports: None,
    };
    let port = |(port, counted): (&&ServicePort, &PortEndpointCount)| engine::Port {
        // A route asks each of its backends for one port, whatever the number.
        number: if several { u16::try_from(port.number).unwrap_or_default() } else { 0 },
        ..seen_port(port, *counted, ports, past, now)
    };
    let by_port: Vec<engine::Port> = ports.iter().zip(&by_port).map(port).collect();
    match by_port.as_slice() {
        [] if ports.is_empty() => plain(ready, total, past.map_or(0, |past| past.peak.most(now))),
        [only] if !several && only.total == total => plain(only.ready, total, only.peak),
        _ => Health::of_ports(Ports::new(by_port, total), announced),
    }
}

/// A port with so many endpoints, beside the history of the Service.
fn seen_port(
    port: &ServicePort,
    counted: PortEndpointCount,
    asked: &[&ServicePort],
    past: Option<&ServiceHistory>,
    now: SteadyTime,
) -> engine::Port {
    let served = past.map(|past| &past.served);
    engine::Port {
        number: 0,
        name: port.label(),
        ready: counted.ready,
        total: counted.total,
        peak: served.map_or(0, |served| served.peak(port, now)).max(counted.ready),
        announced: counted.announced,
        served: counted.ready > 0 || served.is_some_and(|served| served.has(port)),
        with: match served {
            Some(served) if counted.ready == 0 => served.with(port, asked),
            _ => counted.with,
        },
    }
}
