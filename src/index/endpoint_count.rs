//! How many endpoints of a Service are ready, of all and port by port.

use crate::engine::{Announced, MOST_PORTS, PortSet, SteadyTime};
use crate::index::endpoints::SliceFacts;
use crate::index::pods::PodUid;
use std::collections::HashMap;

/// How many endpoints a Service has.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct EndpointCount {
    /// Those that are ready, whatever they offer.
    pub ready: u32,
    /// All, whatever they offer. Those that are on their way out, and take no more traffic, are none.
    pub total: u32,
    /// Port by port, in the order in which they were asked for.
    pub ports: Vec<PortEndpointCount>,
    /// Those of the ready ones that are about to be deleted: of those that offer any asked port,
    /// where ports are asked for.
    pub announced: Option<Announced>,
}

/// How many endpoints offer a port.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct PortEndpointCount {
    pub ready: u32,
    pub total: u32,
    pub announced: u32,
    /// The asked ports that every slice with a ready endpoint of this one offers too.
    pub with: PortSet,
}

impl EndpointCount {
    /// Both together.
    pub(crate) fn and(mut self, other: Self) -> Self {
        self.ready = self.ready.saturating_add(other.ready);
        self.total = self.total.saturating_add(other.total);
        self.announced = match self.announced {
            Some(announced) => Some(announced.and(other.announced)),
            None => other.announced,
        };
        if self.ports.len() < other.ports.len() {
            self.ports.resize(other.ports.len(), PortEndpointCount::default());
        }
        for (port, other) in self.ports.iter_mut().zip(other.ports) {
            *port = port.and(other);
        }
        self
    }
}

impl PortEndpointCount {
    fn and(self, other: Self) -> Self {
        Self {
            ready: self.ready.saturating_add(other.ready),
            total: self.total.saturating_add(other.total),
            announced: self.announced.saturating_add(other.announced),
            with: match (self.ready, other.ready) {
                (0, _) => other.with,
                (_, 0) => self.with,
                _ => self.with & other.with,
            },
        }
    }
}

/// Ready and total endpoints over all slices of a Service, each endpoint counted once: of all, and of
/// each port by the slices that offer it.
///
/// `ports` are the names of the asked ports, of which no more than [`MOST_PORTS`] are looked at; none
/// is one that the Service does not have. `announced_until` returns until when an announced pod
/// counts as gone.
pub(crate) fn count<'a>(
    slices: impl Iterator<Item = &'a SliceFacts>,
    ports: &[Option<&str>],
    announced_until: impl Fn(PodUid) -> Option<SteadyTime>,
) -> EndpointCount {
    #[derive(Default)]
    struct Seen {
        ready: bool,
        stays: bool,
        /// The asked ports that it offers, and those that it is ready on.
        offers: PortSet,
        ready_on: PortSet,
        announced_until: Option<SteadyTime>,
    }
    let ports = &ports[..ports.len().min(MOST_PORTS)];
    let mut seen: HashMap<u64, Seen> = HashMap::new();
    let mut together = vec![PortSet::MAX; ports.len()];
    for slice in slices {
        let offered = slice.offered(ports);
        for endpoint in &slice.endpoints {
            // While a slice is rebalanced an endpoint may stand in two of them.
            let seen = seen.entry(endpoint.identity).or_default();
            seen.ready |= endpoint.ready;
            seen.stays |= endpoint.ready || !endpoint.terminating;
            seen.offers |= offered;
            if endpoint.ready {
                seen.ready_on |= offered;
            }
            seen.announced_until = endpoint.pod.and_then(|pod| announced_until(pod.uid));
        }
        if slice.endpoints.iter().any(|endpoint| endpoint.ready) {
            for place in places(offered) {
                together[place] &= offered;
            }
        }
    }
    let mut counted = EndpointCount::default();
    counted.ports.resize(ports.len(), PortEndpointCount::default());
    for Seen { ready, stays, offers, ready_on, announced_until } in seen.into_values() {
        counted.total = counted.total.saturating_add(u32::from(stays));
        counted.ready = counted.ready.saturating_add(u32::from(ready));
        let takes_traffic = if ports.is_empty() { ready } else { ready_on != 0 };
        if let Some(until) = announced_until.filter(|_| takes_traffic) {
            let one = Announced { count: 1, until };
            counted.announced = Some(one.and(counted.announced));
        }
        for place in places(offers) {
            let (port, ready) = (&mut counted.ports[place], ready_on & 1 << place != 0);
            port.total = port.total.saturating_add(u32::from(stays));
            port.ready = port.ready.saturating_add(u32::from(ready));
            port.announced =
                port.announced.saturating_add(u32::from(ready && announced_until.is_some()));
        }
    }
    for (place, (port, together)) in counted.ports.iter_mut().zip(together).enumerate() {
        if port.ready > 0 {
            port.with = together & !(1 << place);
        }
    }
    counted
}

/// The places of the ports of a set.
fn places(set: PortSet) -> impl Iterator<Item = usize> {
    let mut left = set;
    std::iter::from_fn(move || {
        let place = left.trailing_zeros() as usize;
        left &= left.wrapping_sub(1);
        (place < MOST_PORTS).then_some(place)
    })
}

#[cfg(test)]
#[path = "endpoint_count_tests.rs"]
mod tests;
