//! The ports that a Service has been seen to serve.

use crate::engine::PortSet;
use crate::engine::SteadyTime;
use crate::index::endpoint_count::EndpointCount;
use crate::index::peak::Peak;
use crate::index::service_facts::ServicePort;

/// The ports that a ready endpoint has been seen to offer. Mostly there is one.
#[derive(Debug, Default)]
pub(crate) struct ServedPorts(Vec<PortPast>);

#[derive(Debug)]
struct PortPast {
    name: Box<str>,
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
        self.0.retain(|past| declared.iter().any(|port| past.is_of(port)));
        for (port, counted) in declared.iter().zip(&counted.ports) {
            let place = match self.0.iter().position(|past| past.is_of(port)) {
                Some(place) => place,
                None if counted.ready == 0 => continue,
                None => {
                    self.0.reserve_exact(1);
                    self.0.push(PortPast::new(port));
                    self.0.len() - 1
                }
            };
            let past = &mut self.0[place];
            past.peak.observe(counted.ready, now);
            if counted.ready == 0 {
                continue;
            }
            let with = declared.iter().enumerate().filter(|(i, _)| counted.with & 1 << i != 0);
            let with = || with.clone().map(|(_, port)| port.name.as_str());
            if !with().eq(past.with.iter().map(|name| &**name)) {
                past.with = with().map(Into::into).collect();
            }
        }
    }

    pub(crate) fn has(&self, port: &ServicePort) -> bool {
        self.of(port).is_some()
    }

    /// The most that were ready in the last ten minutes.
    pub(crate) fn peak(&self, port: &ServicePort, now: SteadyTime) -> u32 {
        self.of(port).map_or(0, |past| past.peak.most(now))
    }

    /// Which of these ports all the ready endpoints of one also offered, when it last had any.
    pub(crate) fn with(&self, port: &ServicePort, asked: &[&ServicePort]) -> PortSet {
        let Some(past) = self.of(port) else { return 0 };
        let with =
            |(_, port): &(usize, &&ServicePort)| past.with.iter().any(|name| **name == *port.name);
        let with = asked.iter().enumerate().filter(with);
        with.fold(0, |set, (place, _)| set | 1 << place)
    }

    fn of(&self, port: &ServicePort) -> Option<&PortPast> {
        self.0.iter().find(|past| past.is_of(port))
    }
}

impl PortPast {
    fn new(port: &ServicePort) -> Self {
        Self { name: port.name.as_str().into(), peak: Peak::default(), with: Box::default() }
    }

    fn is_of(&self, port: &ServicePort) -> bool {
        *self.name == *port.name
    }
}
