//! The ports that a Service has been seen to serve.

use crate::engine::PortSet;
use crate::engine::SteadyTime;
use crate::index::endpoint_count::EndpointCount;
use crate::index::peak::Peak;
use crate::index::service_facts::ServicePort;
use std::collections::HashMap;

/// By name: the ports that a ready endpoint has been seen to offer.
#[derive(Debug, Default)]
pub(crate) struct ServedPorts(HashMap<Box<str>, PortPast>);

#[derive(Debug, Default)]
struct PortPast {
    peak: Peak,
    /// The ports that all its ready endpoints also offered, when it last had any.
    with: Box<[Box<str>]>,
}

impl ServedPorts {
    /// Records how many endpoints offer these ports now. They are all that the Service declares: others are
    /// dropped.
    pub(crate) fn observe(
        &mut self,
        declared: &[&ServicePort],
        counted: &EndpointCount,
        now: SteadyTime,
    ) {
        self.0.retain(|name, _| declared.iter().any(|port| port.name == **name));
        for (port, counted) in declared.iter().zip(&counted.ports) {
            if counted.ready == 0 {
                if let Some(past) = self.0.get_mut(port.name.as_str()) {
                    past.peak.observe(0, now);
                }
                continue;
            }
            let past = self.0.entry(port.name.as_str().into()).or_default();
            past.peak.observe(counted.ready, now);
            let with = declared.iter().enumerate().filter(|(i, _)| counted.with & 1 << i != 0);
            let with = || with.clone().map(|(_, port)| port.name.as_str());
            if !with().eq(past.with.iter().map(|name| &**name)) {
                past.with = with().map(Into::into).collect();
            }
        }
    }

    pub(crate) fn has(&self, port: &ServicePort) -> bool {
        self.0.contains_key(port.name.as_str())
    }

    /// The most that were ready in the last ten minutes.
    pub(crate) fn peak(&self, port: &ServicePort, now: SteadyTime) -> u32 {
        self.0.get(port.name.as_str()).map_or(0, |past| past.peak.most(now))
    }

    /// Which of these ports all the ready endpoints of one also offered, when it last had any.
    pub(crate) fn with(&self, port: &ServicePort, asked: &[&ServicePort]) -> PortSet {
        let Some(past) = self.0.get(port.name.as_str()) else { return 0 };
        let with =
            |(_, port): &(usize, &&ServicePort)| past.with.iter().any(|name| **name == *port.name);
        let with = asked.iter().enumerate().filter(with);
        with.fold(0, |set, (place, _)| set | 1 << place)
    }
}
