//! What a decision needs of an EndpointSlice.

use crate::engine::PortSet;
use crate::index::service_facts::ServicePort;
use crate::kinds::partial::{AddressType, Endpoint, PartialSlice};
use crate::kinds::pods::PodEndpoint;
use kube::ResourceExt;
use std::hash::{DefaultHasher, Hash, Hasher};

/// The label of slices that Kubernetes itself makes, and its value.
const MANAGED_BY: (&str, &str) =
    ("endpointslice.kubernetes.io/managed-by", "endpointslice-controller.k8s.io");

/// Label by which a slice belongs to a Service.
pub(crate) const SERVICE_NAME: &str = "kubernetes.io/service-name";

/// The address families that the proxies use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct AddressFamilies {
    /// Linkerd uses IPv6 only where `disableIPv6` is false.
    pub ipv6: bool,
}

/// A slice, as small as a decision allows.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct SliceFacts {
    /// Kubernetes makes it of the Service and its pods: it has the ports that the Service declares.
    follows: bool,
    /// Names of the ports offered; the unnamed port is `""`.
    ports: Box<[Box<str>]>,
    pub(super) endpoints: Box<[Endpoint]>,
}

impl SliceFacts {
    /// The facts of a slice; none where no proxy would use its addresses.
    pub(crate) fn read(slice: &PartialSlice, families: AddressFamilies) -> Option<Self> {
        // Linkerd ignores the IPv6 addresses of pods only: it sends to those of a gateway or of an external
        // workload.
        let has_pods = match slice.address_type {
            AddressType::IPv4 => Some(true),
            AddressType::IPv6 => Some(families.ipv6),
            AddressType::Other => None,
        }?;
        let endpoints = slice.endpoints.iter().filter(|endpoint| has_pods || !endpoint.is_pod);
        let endpoints: Box<[Endpoint]> = endpoints.copied().collect();
        let ports = slice.ports.iter().flatten();
        let ports = ports.map(|port| port.name.as_deref().unwrap_or_default().into()).collect();
        let (label, controller) = MANAGED_BY;
        let follows = slice.labels().get(label).is_some_and(|manager| manager == controller);
        (has_pods || !endpoints.is_empty()).then_some(Self { follows, ports, endpoints })
    }

    /// Whether its ports have changed to some that its Service does not declare: the Service has changed
    /// too, and its own watch reports that later.
    pub(crate) fn overtakes(&self, before: &Self, declared: &[ServicePort]) -> bool {
        let undeclared = |name: &str| declared.iter().all(|port| port.name != name);
        self.follows
            && self.ports != before.ports
            && before.has_ready()
            && self.has_ready()
            && self.ports.iter().any(|name| undeclared(name))
    }

    /// Which of these ports it offers, by their place.
    pub(super) fn offered(&self, ports: &[Option<&str>]) -> PortSet {
        let offered = |(_, port): &(usize, &Option<&str>)| {
            port.is_some_and(|port| self.ports.iter().any(|p| **p == *port))
        };
        let offered = ports.iter().enumerate().filter(offered);
        offered.fold(0, |set, (place, _)| set | 1 << place)
    }

    /// A number that changes with the ports offered and with the endpoints that are ready.
    pub(crate) fn fingerprint(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        self.ports.hash(&mut hasher);
        for endpoint in self.endpoints.iter().filter(|endpoint| endpoint.ready) {
            endpoint.identity.hash(&mut hasher);
        }
        hasher.finish()
    }

    pub(crate) fn has_ready(&self) -> bool {
        self.endpoints.iter().any(|endpoint| endpoint.ready)
    }

    /// The identities of the endpoints.
    pub(crate) fn identities(&self) -> impl Iterator<Item = u64> {
        self.endpoints.iter().map(|endpoint| endpoint.identity)
    }

    /// The pods among the endpoints, with whether they are ready.
    pub(crate) fn pods(&self) -> impl Iterator<Item = (PodEndpoint, bool)> {
        self.endpoints.iter().filter_map(|endpoint| Some((endpoint.pod?, endpoint.ready)))
    }
}
