//! What a decision needs of a Service.

use crate::failover::Unknown;
use k8s_openapi::api::core::v1::Service;
use kube::ResourceExt;

// Linkerd multicluster's names. The annotations of a federated Service are looked at before the
// label of a pod-to-pod mirror, which has the same name.
const REMOTE_DISCOVERY: &str = "multicluster.linkerd.io/remote-discovery";
const CLUSTER_NAME: &str = "mirror.linkerd.io/cluster-name";
const LOCAL_DISCOVERY: &str = "multicluster.linkerd.io/local-discovery";

/// A Service, as small as a decision allows.
#[derive(Clone, Debug, PartialEq)]
pub struct ServiceFacts {
    pub ports: Vec<Port>,
    pub kind: ServiceKind,
    /// The linked cluster whose Service this one mirrors.
    pub mirrors: Option<Box<str>>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Port {
    pub number: i32,
    /// `""` for the unnamed port.
    pub name: String,
}

/// Where the health of a Service is to be seen.
#[derive(Clone, Debug, PartialEq)]
pub enum ServiceKind {
    /// In its own EndpointSlices: ordinary, headless, selectorless and gateway mirrors alike.
    Slices,
    ExternalName,
    /// Elsewhere.
    Elsewhere(Unknown),
}

impl ServiceFacts {
    pub fn read(service: &Service) -> Self {
        let spec = service.spec.as_ref();
        let ports = spec.and_then(|spec| spec.ports.as_deref()).unwrap_or_default();
        let kind = if spec.and_then(|spec| spec.type_.as_deref()) == Some("ExternalName") {
            ServiceKind::ExternalName
        } else if [REMOTE_DISCOVERY, LOCAL_DISCOVERY]
            .iter()
            .any(|name| service.annotations().contains_key(*name))
        {
            ServiceKind::Elsewhere(Unknown::Federated)
        } else if let Some(cluster) = service.labels().get(REMOTE_DISCOVERY) {
            ServiceKind::Elsewhere(Unknown::RemoteDiscovery { cluster: cluster.clone() })
        } else {
            ServiceKind::Slices
        };
        let port = |port: &k8s_openapi::api::core::v1::ServicePort| Port {
            number: port.port,
            name: port.name.clone().unwrap_or_default(),
        };
        let mirrors = service.labels().get(CLUSTER_NAME).map(|name| name.as_str().into());
        Self { ports: ports.iter().map(port).collect(), kind, mirrors }
    }

    /// The names that this Service gives to the ports asked for. Where it has none of a number,
    /// Linkerd takes the number as the pods' port, so nothing is asked of the slices for it.
    pub fn names_of(&self, asked: Asked<'_>) -> Vec<&str> {
        let is_asked = |number: i32| match asked {
            Asked::Any => false,
            Asked::Port(port) => number == i32::from(port),
            Asked::PortsOf(apex) => apex.ports.iter().any(|p| p.number == number),
        };
        let ports = self.ports.iter().filter(|port| is_asked(port.number));
        ports.map(|port| port.name.as_str()).collect()
    }
}

/// The ports of a backend that must be offered for its endpoints to count.
#[derive(Clone, Copy, Debug)]
pub enum Asked<'a> {
    Any,
    /// A route says which.
    Port(u16),
    /// Clients may call any port of the apex.
    PortsOf(&'a ServiceFacts),
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn kind(metadata: Value, spec: Value) -> ServiceKind {
        let service = json!({"metadata": metadata, "spec": spec});
        ServiceFacts::read(&serde_json::from_value(service).unwrap()).kind
    }

    #[test]
    fn a_service_is_told_by_what_linkerd_wrote_on_it() {
        assert_eq!(kind(json!({}), json!({})), ServiceKind::Slices);
        let gateway = json!({"labels": {"mirror.linkerd.io/mirrored-service": "true"}});
        assert_eq!(kind(gateway, json!({})), ServiceKind::Slices);
        let pod_to_pod = json!({"labels": {REMOTE_DISCOVERY: "west"}});
        let west = Unknown::RemoteDiscovery { cluster: "west".into() };
        assert_eq!(kind(pod_to_pod, json!({})), ServiceKind::Elsewhere(west));
        let federated = json!({"annotations": {REMOTE_DISCOVERY: "bb@west"}});
        assert_eq!(kind(federated, json!({})), ServiceKind::Elsewhere(Unknown::Federated));
        let external = json!({"type": "ExternalName"});
        assert_eq!(kind(json!({}), external), ServiceKind::ExternalName);
    }

    #[test]
    fn the_apexs_ports_are_asked_for_by_the_backends_own_names() {
        let service = |ports: Value| {
            ServiceFacts::read(&serde_json::from_value(json!({"spec": {"ports": ports}})).unwrap())
        };
        let apex = service(json!([{"name": "grpc", "port": 8080}, {"name": "prom", "port": 8801}]));
        let backend = service(json!([{"name": "rpc", "port": 8080}, {"name": "x", "port": 1}]));
        assert_eq!(backend.names_of(Asked::PortsOf(&apex)), ["rpc"]);
        assert_eq!(backend.names_of(Asked::Port(1)), ["x"]);
        assert!(backend.names_of(Asked::Port(2)).is_empty());
    }
}
