//! What a decision needs of an EndpointSlice.

use crate::engine::PortSet;
use crate::index::pods::{PodEndpoint, PodName, PodUid};
use crate::index::service_facts::ServicePort;
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
        let endpoints = slice.endpoints.iter().filter_map(read_endpoint);
        let endpoints: Vec<Endpoint> = match slice.address_type.as_str() {
            "IPv4" => endpoints.collect(),
            "IPv6" if families.ipv6 => endpoints.collect(),
            // Linkerd ignores the IPv6 addresses of pods only: it sends to those of a gateway or of an
            // external workload.
            "IPv6" => {
                let others: Vec<Endpoint> = endpoints.filter(|e| !e.is_pod).collect();
                if others.is_empty() {
                    return None;
                }
                others
            }
            _ => return None,
        };
        let ports = slice.ports.iter().flatten();
        let ports = ports.map(|port| port.name.clone().unwrap_or_default()).collect();
        let (label, controller) = MANAGED_BY;
        let managed_by = slice.metadata.labels.as_ref().and_then(|labels| labels.get(label));
        let follows = managed_by.is_some_and(|manager| manager == controller);
        Some(Self { follows, ports, endpoints })
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

fn read_endpoint(endpoint: &k8s_openapi::api::discovery::v1::Endpoint) -> Option<Endpoint> {
    let mut identity = DefaultHasher::new();
    let (mut is_pod, mut pod) = (false, None);
    match &endpoint.target_ref {
        Some(target) => {
            // Linkerd sends to nothing else.
            if !matches!(target.kind.as_deref(), Some("Pod" | "ExternalWorkload")) {
                return None;
            }
            is_pod = target.kind.as_deref() == Some("Pod");
            (&target.kind, &target.namespace, &target.name, &target.uid).hash(&mut identity);
            if let (Some("Pod"), Some(namespace), Some(name), Some(uid)) =
                (target.kind.as_deref(), &target.namespace, &target.name, &target.uid)
            {
                let name = PodName::new(namespace, name);
                pod = PodUid::parse(uid).map(|uid| PodEndpoint { uid, name });
            }
        }
        None => endpoint.addresses.first()?.hash(&mut identity),
    }
    let conditions = endpoint.conditions.as_ref();
    Some(Endpoint {
        identity: identity.finish(),
        is_pod,
        pod,
        ready: conditions.and_then(|c| c.ready).unwrap_or(true),
        terminating: conditions.and_then(|c| c.terminating).unwrap_or_default(),
    })
}
