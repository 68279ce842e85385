//! What a decision needs of an EndpointSlice.

use crate::engine::PortSet;
use crate::index::hash::hash_of;
use crate::index::pods::{PodEndpoint, PodName, PodUid};
use crate::index::service_facts::ServicePort;
use k8s_openapi::api::core::v1::ObjectReference;
use k8s_openapi::api::discovery;
use k8s_openapi::api::discovery::v1::EndpointSlice;
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
    ports: Vec<String>,
    pub(super) endpoints: Vec<Endpoint>,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Endpoint {
    /// Hash of the targetRef, or of the address where there is none.
    pub(super) identity: u64,
    is_pod: bool,
    pub(super) pod: Option<PodEndpoint>,
    pub(super) ready: bool,
    /// It is being deleted.
    pub(super) terminating: bool,
}

impl SliceFacts {
    /// The facts of a slice; none where no proxy would use its addresses.
    pub(crate) fn read(slice: &EndpointSlice, families: AddressFamilies) -> Option<Self> {
        // Linkerd ignores the IPv6 addresses of pods only: it sends to those of a gateway or of an external
        // workload.
        let has_pods = match slice.address_type.as_str() {
            "IPv4" => Some(true),
            "IPv6" => Some(families.ipv6),
            _ => None,
        }?;
        let endpoints = slice.endpoints.iter().filter_map(read_endpoint);
        let endpoints: Vec<Endpoint> = endpoints.filter(|e| has_pods || !e.is_pod).collect();
        let ports = slice.ports.iter().flatten();
        let ports = ports.map(|port| port.name.clone().unwrap_or_default()).collect();
        let (label, controller) = MANAGED_BY;
        let managed_by = slice.metadata.labels.as_ref().and_then(|labels| labels.get(label));
        let follows = managed_by.is_some_and(|manager| manager == controller);
        (has_pods || !endpoints.is_empty()).then_some(Self { follows, ports, endpoints })
    }

    /// Whether its ports have changed to some that its Service does not declare: the Service has changed
    /// too, and its own watch reports that later.
    pub(crate) fn overtakes(&self, before: &Self, declared: &[ServicePort]) -> bool {
        let undeclared = |name: &String| declared.iter().all(|port| port.name != *name);
        self.follows
            && self.ports != before.ports
            && before.has_ready()
            && self.has_ready()
            && self.ports.iter().any(undeclared)
    }

    /// Which of these ports it offers, by their place.
    pub(super) fn offered(&self, ports: &[Option<&str>]) -> PortSet {
        let offered = |(_, port): &(usize, &Option<&str>)| {
            port.is_some_and(|port| self.ports.iter().any(|p| p == port))
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

/// An endpoint that Linkerd sends to.
fn read_endpoint(endpoint: &discovery::v1::Endpoint) -> Option<Endpoint> {
    let target = endpoint.target_ref.as_ref();
    let pod = target.filter(|target| target.kind.as_deref() == Some("Pod"));
    let conditions = endpoint.conditions.as_ref();
    Some(Endpoint {
        identity: identity(endpoint)?,
        is_pod: pod.is_some(),
        pod: pod.and_then(pod_endpoint),
        ready: conditions.and_then(|c| c.ready).unwrap_or(true),
        terminating: conditions.and_then(|c| c.terminating).unwrap_or_default(),
    })
}

/// The hash of the targetRef, or of the address where there is none; none for a target of a kind that Linkerd
/// does not send to.
fn identity(endpoint: &discovery::v1::Endpoint) -> Option<u64> {
    match &endpoint.target_ref {
        Some(target) => match target.kind.as_deref() {
            kind @ Some("Pod" | "ExternalWorkload") => {
                Some(hash_of((kind, &target.namespace, &target.name, &target.uid)))
            }
            _ => None,
        },
        None => endpoint.addresses.first().map(hash_of),
    }
}

fn pod_endpoint(target: &ObjectReference) -> Option<PodEndpoint> {
    let name = PodName::new(target.namespace.as_ref()?, target.name.as_ref()?);
    Some(PodEndpoint { uid: PodUid::parse(target.uid.as_ref()?)?, name })
}
