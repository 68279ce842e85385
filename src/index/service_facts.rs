//! What a decision needs of a Service.

use crate::engine::MOST_PORTS;
use crate::index::down_facts::DownFacts;
use crate::index::remote::members::{self, Member};
use crate::kinds::linkerd::annotations::LinkerdAnnotations;
use crate::kinds::linkerd::failure_accrual::{self, FailureAccrual};
use crate::kinds::partial::{self, PartialService, ServiceSpec};
use crate::kinds::retries::RetrySetting;
use kube::ResourceExt;
use std::collections::BTreeSet;
use std::hash::{DefaultHasher, Hash, Hasher};

/// Linkerd multicluster's label on mirrors of every kind.
pub(crate) const CLUSTER_NAME: &str = "mirror.linkerd.io/cluster-name";

/// A Service, as small as a decision allows.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct ServiceFacts {
    pub ports: Vec<ServicePort>,
    pub kind: ServiceKind,
    /// The linked cluster whose Service this one mirrors.
    pub mirrors: Option<Box<str>>,
    /// A number that changes with every field that its slices follow.
    pub shape: u64,
    pub serving: Serving,
    /// Linkerd's retries for routes that have none of their own.
    pub retries: RetrySetting,
    /// That it is declared down, or what cannot be read of that.
    pub declared_down: Option<Box<DownFacts>>,
    /// How Linkerd's proxies treat traffic to it: only for warnings.
    pub linkerd: LinkerdAnnotations,
}

/// Settings by which other endpoints are ready than people expect: only for warnings.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Serving {
    pub headless: bool,
    /// Each proxy uses the endpoints of its own node alone.
    pub node_local: bool,
    pub publishes_not_ready: bool,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct ServicePort {
    pub number: i32,
    /// `""` for the unnamed port.
    pub name: String,
    /// Whether Linkerd carries it: UDP it does not.
    is_tcp: bool,
}

impl ServicePort {
    /// For people, and for the record.
    pub(crate) fn label(&self) -> Box<str> {
        match self.name.as_str() {
            "" => self.number.to_string().into(),
            name => name.into(),
        }
    }
}

/// Where the endpoints of a Service are.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum ServiceKind {
    /// In its own EndpointSlices: ordinary, headless, selectorless and gateway mirrors alike.
    Slices,
    ExternalName,
    /// In those of its members: pod-to-pod mirrors and federated Services.
    Members(Box<[Member]>),
}

impl ServiceFacts {
    pub(crate) fn read(service: &PartialService) -> Self {
        let spec = service.spec.as_ref();
        let ports = spec.and_then(|spec| spec.ports.as_deref()).unwrap_or_default();
        let kind = if spec.and_then(|spec| spec.type_.as_deref()) == Some("ExternalName") {
            ServiceKind::ExternalName
        } else {
            members::read(service).map_or(ServiceKind::Slices, ServiceKind::Members)
        };
        let port = |port: &partial::ServicePort| ServicePort {
            number: port.port,
            name: port.name.clone().unwrap_or_default(),
            is_tcp: port.protocol.as_deref().is_none_or(|protocol| protocol == "TCP"),
        };
        let mirrors = service.labels().get(CLUSTER_NAME).map(|name| name.as_str().into());
        let shape = spec.map(shape).unwrap_or_default();
        let serving = spec.map(serving).unwrap_or_default();
        let retries = RetrySetting::of(service.annotations());
        let declared_down = DownFacts::read(service.annotations()).map(Box::new);
        let linkerd = LinkerdAnnotations::of(service.annotations());
        let ports = ports.iter().map(port).collect();
        Self { ports, kind, mirrors, shape, serving, retries, declared_down, linkerd }
    }

    /// What it asks of Linkerd's proxies for endpoints that are ready and fail.
    pub(crate) fn failure_accrual(&self) -> FailureAccrual {
        failure_accrual::read(|name| self.linkerd.get(name))
    }

    /// The Services whose endpoints are its endpoints, where it has none of its own.
    pub(crate) fn members(&self) -> &[Member] {
        match &self.kind {
            ServiceKind::Members(members) => members,
            ServiceKind::Slices | ServiceKind::ExternalName => &[],
        }
    }

    /// Its ports that are asked for. Of two of one number, Linkerd takes the first.
    pub(crate) fn asked_ports(&self, asked: RequestedPorts<'_>) -> Vec<&ServicePort> {
        let is_asked = |number: i32| match asked {
            RequestedPorts::Any => false,
            RequestedPorts::Port(port) => number == i32::from(port),
            RequestedPorts::PortsOf(apex) => apex.called().any(|called| called == number),
        };
        let mut ports: Vec<&ServicePort> = vec![];
        for port in self.ports.iter().filter(|port| is_asked(port.number)) {
            if ports.len() < MOST_PORTS && ports.iter().all(|p| p.number != port.number) {
                ports.push(port);
            }
        }
        ports
    }

    /// Its names for these ports of another Service; none where it has none of a number. Linkerd
    /// takes that number as the pods' own port then.
    pub(crate) fn names_of(&self, ports: &[&ServicePort]) -> Vec<Option<&str>> {
        let name = |asked: &&ServicePort| {
            let port = self.ports.iter().find(|port| port.number == asked.number);
            port.map(|port| port.name.as_str())
        };
        ports.iter().map(name).collect()
    }

    /// The numbers of the ports that clients can call through Linkerd.
    fn called(&self) -> impl Iterator<Item = i32> {
        let any = self.ports.iter().any(|port| port.is_tcp);
        self.ports.iter().filter(move |port| port.is_tcp || !any).map(|port| port.number)
    }
}

fn serving(spec: &ServiceSpec) -> Serving {
    Serving {
        headless: spec.cluster_ip.as_deref() == Some("None"),
        node_local: spec.internal_traffic_policy.as_deref() == Some("Local"),
        publishes_not_ready: spec.publish_not_ready_addresses == Some(true),
    }
}

/// The ports of a backend that must be offered for its endpoints to count.
#[derive(Clone, Copy, Debug)]
pub(crate) enum RequestedPorts<'a> {
    Any,
    /// The port that a route names.
    Port(u16),
    /// All ports of the apex: clients may call any.
    PortsOf(&'a ServiceFacts),
}

impl<'a> RequestedPorts<'a> {
    /// The ports of a backend, which a route may name; otherwise those of the apex, where it is known.
    pub(crate) fn of(port: Option<u16>, apex: Option<&'a ServiceFacts>) -> Self {
        match (port, apex) {
            (Some(port), _) => Self::Port(port),
            (None, Some(apex)) => Self::PortsOf(apex),
            (None, None) => Self::Any,
        }
    }

    /// The numbers asked for.
    pub(crate) fn numbers(self) -> BTreeSet<i32> {
        match self {
            Self::Any => BTreeSet::new(),
            Self::Port(port) => BTreeSet::from([port.into()]),
            Self::PortsOf(apex) => apex.called().collect(),
        }
    }
}

fn shape(spec: &ServiceSpec) -> u64 {
    let mut hasher = DefaultHasher::new();
    (&spec.type_, &spec.selector, &spec.ip_families, &spec.publish_not_ready_addresses)
        .hash(&mut hasher);
    for port in spec.ports.iter().flatten() {
        (port.port, &port.name, &port.protocol, format!("{:?}", port.target_port))
            .hash(&mut hasher);
    }
    hasher.finish()
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
    fn the_kind_of_a_service_is_read_from_what_linkerd_wrote_on_it() {
        assert_eq!(kind(json!({}), json!({})), ServiceKind::Slices);
        let gateway = json!({"labels": {"mirror.linkerd.io/mirrored-service": "true"}});
        assert_eq!(kind(gateway, json!({})), ServiceKind::Slices);
        let name = "multicluster.linkerd.io/local-discovery";
        let federated = json!({"annotations": {name: "bb"}});
        let members = Box::new([Member::Local("bb".into())]);
        assert_eq!(kind(federated, json!({})), ServiceKind::Members(members));
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
        let asked = |asked: RequestedPorts<'_>| -> Vec<String> {
            backend.asked_ports(asked).iter().map(|port| port.name.clone()).collect()
        };
        assert_eq!(asked(RequestedPorts::PortsOf(&apex)), ["rpc"]);
        assert_eq!(asked(RequestedPorts::Port(1)), ["x"]);
        assert!(asked(RequestedPorts::Port(2)).is_empty());
        let wanted: Vec<&ServicePort> = apex.ports.iter().collect();
        assert_eq!(backend.names_of(&wanted), [Some("rpc"), None]);
    }

    #[test]
    fn of_two_ports_of_one_number_the_first_is_asked_for_and_udp_alone_never() {
        let service = |ports: Value| {
            ServiceFacts::read(&serde_json::from_value(json!({"spec": {"ports": ports}})).unwrap())
        };
        let dns = service(json!([
            {"name": "tcp", "port": 53}, {"name": "udp", "port": 53, "protocol": "UDP"},
            {"name": "log", "port": 514, "protocol": "UDP"},
        ]));
        assert_eq!(RequestedPorts::PortsOf(&dns).numbers(), [53].into());
        let asked = dns.asked_ports(RequestedPorts::PortsOf(&dns));
        assert_eq!(asked.iter().map(|port| port.name.as_str()).collect::<Vec<_>>(), ["tcp"]);
    }

    #[test]
    fn its_shape_changes_with_what_slices_follow_and_with_nothing_else() {
        let read = |metadata: Value, spec: Value| {
            let service = json!({"metadata": metadata, "spec": spec});
            ServiceFacts::read(&serde_json::from_value(service).unwrap()).shape
        };
        let spec = json!({"selector": {"app": "web"}, "ports": [{"name": "web", "port": 80}]});
        let before = read(json!({}), spec.clone());
        assert_eq!(read(json!({"labels": {"a": "b"}}), spec.clone()), before);
        for change in [
            json!({"selector": {"app": "other"}}),
            json!({"type": "ExternalName"}),
            json!({"ports": [{"name": "http", "port": 80}]}),
            json!({"ports": [{"name": "web", "port": 80, "targetPort": "x"}]}),
        ] {
            let mut changed = spec.clone();
            json_patch::merge(&mut changed, &change);
            assert_ne!(read(json!({}), changed), before, "{change}");
        }
    }
}
