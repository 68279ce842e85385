//! How many endpoints of a Service are ready, of all and port by port.

use crate::engine::{Announced, MOST_PORTS, PortSet, SteadyTime, work};
use crate::index::endpoints::SliceFacts;
use crate::kinds::hash::HashedMap;
use crate::kinds::partial::Endpoint;
use crate::kinds::pods::PodUid;

/// How many endpoints a Service has.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct EndpointCount {
    /// Those that are ready, whatever they offer.
    pub ready: u32,
    /// All, whatever they offer, without those that are terminating and take no more traffic.
    pub total: u32,
    /// Port by port, in the order in which they were asked for.
    pub ports: Vec<PortEndpointCount>,
    /// The ready ones that are announced: of those that offer any asked port, where ports are asked for.
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
    fn add(&mut self, endpoint: &SeenEndpoint) {
        let SeenEndpoint { ready, counts, offers, ready_on, announced_until } = *endpoint;
        self.total = self.total.saturating_add(u32::from(counts));
        self.ready = self.ready.saturating_add(u32::from(ready));
        let takes_traffic = if self.ports.is_empty() { ready } else { ready_on != 0 };
        if let Some(until) = announced_until.filter(|_| takes_traffic) {
            let one = Announced { count: 1, until };
            self.announced = Some(one.and(self.announced));
        }
        for place in places(offers) {
            let ready = ready_on & 1 << place != 0;
            let port = PortEndpointCount {
                ready: ready.into(),
                total: counts.into(),
                announced: (ready && announced_until.is_some()).into(),
                with: 0,
            };
            self.ports[place] = self.ports[place].and(port);
        }
    }

    /// The sum of both.
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

/// An endpoint, over all slices that it is in.
#[derive(Default)]
struct SeenEndpoint {
    ready: bool,
    /// It is ready, or not terminating.
    counts: bool,
    /// The asked ports that it offers, and those that it is ready on.
    offers: PortSet,
    ready_on: PortSet,
    announced_until: Option<SteadyTime>,
}

impl SeenEndpoint {
    /// Adds what a slice that offers these ports has of it.
    fn add(&mut self, endpoint: &Endpoint, offered: PortSet) {
        self.ready |= endpoint.ready;
        self.counts |= endpoint.ready || !endpoint.terminating;
        self.offers |= offered;
        if endpoint.ready {
            self.ready_on |= offered;
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
    slices: impl Iterator<Item = &'a SliceFacts> + Clone,
    ports: &[Option<&str>],
    announced_until: impl Fn(PodUid) -> Option<SteadyTime>,
) -> EndpointCount {
    let ports = &ports[..ports.len().min(MOST_PORTS)];
    let most = slices.clone().map(|slice| slice.endpoints.len()).sum();
    let mut endpoints = HashedMap::with_capacity_and_hasher(most, Default::default());
    let mut together = vec![PortSet::MAX; ports.len()];
    for slice in slices {
        let offered = slice.offered(ports);
        for endpoint in &slice.endpoints {
            // While slices are rebalanced an endpoint may be in two of them.
            let seen: &mut SeenEndpoint =
                endpoints.entry(work::counted(endpoint.identity)).or_default();
            seen.add(endpoint, offered);
            seen.announced_until = endpoint.pod.and_then(|pod| announced_until(pod.uid));
        }
        if slice.has_ready() {
            for place in places(offered) {
                together[place] &= offered;
            }
        }
    }
    let mut counted = EndpointCount::default();
    counted.ports.resize(ports.len(), PortEndpointCount::default());
    endpoints.values().for_each(|endpoint| counted.add(endpoint));
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
