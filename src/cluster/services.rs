//! What a decision needs of a Service.

use super::remote::members::{self, Member};
use k8s_openapi::api::core::v1::Service;
use kube::ResourceExt;

/// Linkerd multicluster's label on mirrors of every kind.
const CLUSTER_NAME: &str = "mirror.linkerd.io/cluster-name";

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
    /// In those of its members: pod-to-pod mirrors and federated Services.
    Elsewhere(Box<[Member]>),
}

impl ServiceFacts {
    pub fn read(service: &Service) -> Self {
        let spec = service.spec.as_ref();
        let ports = spec.and_then(|spec| spec.ports.as_deref()).unwrap_or_default();
        let kind = if spec.and_then(|spec| spec.type_.as_deref()) == Some("ExternalName") {
            ServiceKind::ExternalName
        } else {
            members::read(service).map_or(ServiceKind::Slices, ServiceKind::Elsewhere)
        };
        let port = |port: &k8s_openapi::api::core::v1::ServicePort| Port {
            number: port.port,
            name: port.name.clone().unwrap_or_default(),
        };
        let mirrors = service.labels().get(CLUSTER_NAME).map(|name| name.as_str().into());
        Self { ports: ports.iter().map(port).collect(), kind, mirrors }
    }

    /// The Services that its health is to be seen in, where that is not itself.
    pub fn members(&self) -> &[Member] {
        match &self.kind {
            ServiceKind::Elsewhere(members) => members,
            ServiceKind::Slices | ServiceKind::ExternalName => &[],
        }
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
        let name = "multicluster.linkerd.io/local-discovery";
        let federated = json!({"annotations": {name: "bb"}});
        let members = Box::new([Member::Here("bb".into())]);
        assert_eq!(kind(federated, json!({})), ServiceKind::Elsewhere(members));
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
