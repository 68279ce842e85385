//! What a decision needs of an EndpointSlice.

use crate::failover::{Announced, Health};
use jiff::Timestamp;
use k8s_openapi::api::discovery::v1::EndpointSlice;
use std::collections::HashMap;
use std::collections::hash_map::DefaultHasher;
use std::fmt;
use std::hash::{Hash, Hasher};

/// Label by which a slice belongs to a Service.
pub const SERVICE_NAME: &str = "kubernetes.io/service-name";

/// The address families that the proxies use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Families {
    /// Linkerd uses IPv6 only where it is told to (`disableIPv6: false`).
    pub ipv6: bool,
}

/// A slice, as small as a decision allows.
#[derive(Clone, Debug, PartialEq)]
pub struct SliceFacts {
    /// Names of the ports offered; the unnamed port is `""`.
    ports: Vec<String>,
    endpoints: Vec<Endpoint>,
}

#[derive(Clone, Debug, PartialEq)]
struct Endpoint {
    /// Hash of the targetRef, or of the address where there is none.
    identity: u64,
    pod: Option<PodEndpoint>,
    ready: bool,
    /// It is on its way out, and neither ready nor lost.
    terminating: bool,
}

/// The pod of an endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PodEndpoint {
    pub uid: PodUid,
    pub name: PodName,
}

/// A pod's uid, as small as it can be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PodUid(u128);

impl PodUid {
    /// Reads a UUID, which is what an API server makes.
    pub fn parse(text: &str) -> Option<Self> {
        let digits = || text.bytes().filter(|b| *b != b'-');
        let whole = digits().count() == 32 && digits().all(|b| b.is_ascii_hexdigit());
        let digits: String = text.chars().filter(|c| *c != '-').collect();
        whole.then(|| u128::from_str_radix(&digits, 16).ok().map(Self))?
    }
}

impl fmt::Display for PodUid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = format!("{:032x}", self.0);
        let (a, b, c, d, e) = (&text[..8], &text[8..12], &text[12..16], &text[16..20], &text[20..]);
        write!(f, "{a}-{b}-{c}-{d}-{e}")
    }
}

/// A pod's namespace and name, as a hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct PodName(u64);

impl PodName {
    pub fn new(namespace: &str, name: &str) -> Self {
        let mut hasher = DefaultHasher::new();
        (namespace, name).hash(&mut hasher);
        Self(hasher.finish())
    }
}

impl SliceFacts {
    /// The facts of a slice; none where no proxy would use its address family.
    pub fn read(slice: &EndpointSlice, families: Families) -> Option<Self> {
        let used = match slice.address_type.as_str() {
            "IPv4" => true,
            "IPv6" => families.ipv6,
            _ => false,
        };
        let ports = slice.ports.iter().flatten();
        used.then(|| Self {
            ports: ports.map(|port| port.name.clone().unwrap_or_default()).collect(),
            endpoints: slice.endpoints.iter().filter_map(read_endpoint).collect(),
        })
    }

    /// What tells the endpoints apart.
    pub fn identities(&self) -> impl Iterator<Item = u64> {
        self.endpoints.iter().map(|endpoint| endpoint.identity)
    }

    /// The pods among the endpoints, with whether they are ready.
    pub fn pods(&self) -> impl Iterator<Item = (PodEndpoint, bool)> {
        self.endpoints.iter().filter_map(|endpoint| Some((endpoint.pod?, endpoint.ready)))
    }
}

fn read_endpoint(endpoint: &k8s_openapi::api::discovery::v1::Endpoint) -> Option<Endpoint> {
    let mut identity = DefaultHasher::new();
    let mut pod = None;
    match &endpoint.target_ref {
        Some(target) => {
            // Linkerd sends to nothing else.
            if !matches!(target.kind.as_deref(), Some("Pod" | "ExternalWorkload")) {
                return None;
            }
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
        pod,
        ready: conditions.and_then(|c| c.ready).unwrap_or(true),
        terminating: conditions.and_then(|c| c.terminating).unwrap_or_default(),
    })
}

/// How many endpoints a Service has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counted {
    pub ready: u32,
    /// Those that are on their way out, and take no more traffic, are none.
    pub total: u32,
    /// Those of the ready ones that are about to be deleted.
    pub announced: Option<Announced>,
}

impl Counted {
    /// The health that this is; `peak` is the most that were ready before.
    pub fn health(self, peak: u32) -> Health {
        let Self { ready, total, announced } = self;
        Health::Seen { ready, total, peak: peak.max(ready), announced }
    }

    /// Both together.
    pub fn and(self, other: Self) -> Self {
        Self {
            ready: self.ready.saturating_add(other.ready),
            total: self.total.saturating_add(other.total),
            announced: match self.announced {
                Some(announced) => Some(announced.and(other.announced)),
                None => other.announced,
            },
        }
    }
}

/// Ready and total endpoints over all slices of a Service, each endpoint counted once.
///
/// `ports` are the names that a slice must offer for its endpoints to count at all; `leaves` says of
/// a pod that is about to be deleted until when that is believed.
pub fn count<'a>(
    slices: impl Iterator<Item = &'a SliceFacts>,
    ports: &[&str],
    leaves: impl Fn(PodUid) -> Option<Timestamp>,
) -> Counted {
    #[derive(Default)]
    struct Seen {
        ready: bool,
        stays: bool,
        leaves: Option<Timestamp>,
    }
    let mut seen: HashMap<u64, Seen> = HashMap::new();
    for slice in slices {
        let offered = ports.iter().all(|port| slice.ports.iter().any(|p| p == port));
        for endpoint in &slice.endpoints {
            // While a slice is rebalanced an endpoint may stand in two of them.
            let seen = seen.entry(endpoint.identity).or_default();
            seen.ready |= endpoint.ready && offered;
            seen.stays |= endpoint.ready || !endpoint.terminating;
            seen.leaves = endpoint.pod.and_then(|pod| leaves(pod.uid));
        }
    }
    let mut counted = Counted::default();
    for Seen { ready, stays, leaves } in seen.into_values() {
        counted.total = counted.total.saturating_add(u32::from(stays));
        counted.ready = counted.ready.saturating_add(u32::from(ready));
        if let Some(until) = leaves.filter(|_| ready) {
            let one = Announced { count: 1, until };
            counted.announced = Some(one.and(counted.announced));
        }
    }
    counted
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn facts(slice: Value) -> Option<SliceFacts> {
        let mut whole = json!({"addressType": "IPv4", "endpoints": [], "metadata": {}});
        json_patch::merge(&mut whole, &slice);
        SliceFacts::read(&serde_json::from_value(whole).unwrap(), Families::default())
    }

    fn counted(slices: &[Value], ports: &[&str]) -> (u32, u32) {
        let read: Vec<_> = slices.iter().filter_map(|s| facts(s.clone())).collect();
        let counted = count(read.iter(), ports, |_| None);
        (counted.ready, counted.total)
    }

    fn pod(name: &str, ready: Value) -> Value {
        json!({"addresses": ["10.0.0.1"], "conditions": {"ready": ready},
               "targetRef": {"kind": "Pod", "name": name}})
    }

    #[test]
    fn ready_is_what_is_not_said_to_be_false() {
        let slice = json!({"endpoints": [
            pod("a", json!(true)), pod("b", json!(false)), pod("c", json!(null)),
            {"addresses": ["10.0.0.9"]},
        ]});
        assert_eq!(counted(&[slice], &[]), (3, 4));
    }

    #[test]
    fn an_endpoint_is_counted_once_however_many_slices_hold_it() {
        let one = json!({"endpoints": [pod("a", json!(true)), pod("b", json!(false))]});
        let two = json!({"endpoints": [pod("a", json!(false)), pod("b", json!(false))]});
        assert_eq!(counted(&[one, two], &[]), (1, 2));
    }

    #[test]
    fn without_a_target_the_address_tells_endpoints_apart() {
        let slice = json!({"endpoints": [
            {"addresses": ["10.0.0.1"]}, {"addresses": ["10.0.0.2"]}, {"addresses": ["10.0.0.1"]},
        ]});
        assert_eq!(counted(&[slice], &[]), (2, 2));
    }

    #[test]
    fn a_target_that_linkerd_does_not_send_to_does_not_count() {
        let slice = json!({"endpoints": [
            {"addresses": ["10.0.0.1"], "targetRef": {"kind": "Node", "name": "n"}},
            {"addresses": ["10.0.0.2"], "targetRef": {"kind": "ExternalWorkload", "name": "w"}},
        ]});
        assert_eq!(counted(&[slice], &[]), (1, 1));
    }

    #[test]
    fn a_slice_without_the_asked_port_has_nothing_ready() {
        let slice = json!({"ports": [{"name": "admin"}], "endpoints": [pod("a", json!(true))]});
        assert_eq!(counted(std::slice::from_ref(&slice), &["grpc"]), (0, 1));
        assert_eq!(counted(&[slice], &["admin"]), (1, 1));
    }

    #[test]
    fn the_unnamed_port_is_matched_by_the_unnamed_port() {
        let slice = json!({"ports": [{"port": 80}], "endpoints": [pod("a", json!(true))]});
        assert_eq!(counted(&[slice], &[""]), (1, 1));
    }

    #[test]
    fn an_endpoint_on_its_way_out_is_none_unless_it_still_takes_traffic() {
        let going = |ready: bool| {
            json!({"addresses": ["10.0.0.1"],
            "conditions": {"ready": ready, "serving": true, "terminating": true},
            "targetRef": {"kind": "Pod", "name": format!("going-{ready}")}})
        };
        let slice = json!({"endpoints": [pod("a", json!(true)), going(false), going(true)]});
        assert_eq!(counted(&[slice], &[]), (2, 2));
    }

    #[test]
    fn ready_pods_that_are_about_to_be_deleted_are_counted_once_and_with_the_first_end() {
        let uid = |i: usize| format!("00000000-0000-4000-8000-00000000000{i}");
        let pod = |i: usize, ready: bool| {
            json!({"addresses": ["10.0.0.1"],
            "conditions": {"ready": ready},
            "targetRef": {"kind": "Pod", "namespace": "ns", "name": format!("p{i}"), "uid": uid(i)}})
        };
        let one = facts(json!({"endpoints": [pod(1, true), pod(2, true), pod(3, false)]})).unwrap();
        let two = facts(json!({"endpoints": [pod(1, true), pod(4, true)]})).unwrap();
        let until = |seconds| Some(Timestamp::from_second(seconds).unwrap());
        let leaves = |pod: PodUid| match pod.to_string() {
            pod if pod == uid(1) => until(30),
            pod if pod == uid(2) || pod == uid(3) => until(20),
            _ => None,
        };
        let counted = count([&one, &two].into_iter(), &[], leaves);
        let announced = Announced { count: 2, until: until(20).unwrap() };
        assert_eq!(counted, Counted { ready: 3, total: 4, announced: Some(announced) });
        let known: Vec<_> = one.pods().map(|(pod, ready)| (pod.name, ready)).collect();
        assert_eq!(known[0], (PodName::new("ns", "p1"), true));
        assert_eq!(known[2], (PodName::new("ns", "p3"), false));
    }

    #[test]
    fn a_uid_that_is_no_uuid_is_none() {
        let uid = "0189abcd-ef01-4abc-8def-0123456789ab";
        assert_eq!(PodUid::parse(uid).unwrap().to_string(), uid);
        for text in ["", "u-1", "+189abcd-ef01-4abc-8def-0123456789ab", &format!("{uid}0")] {
            assert_eq!(PodUid::parse(text), None, "{text}");
        }
    }

    #[test]
    fn families_that_no_proxy_uses_are_left_out() {
        assert!(facts(json!({"addressType": "IPv6"})).is_none());
        assert!(facts(json!({"addressType": "FQDN"})).is_none());
    }
}
