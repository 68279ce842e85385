//! What a decision needs of an EndpointSlice.

use k8s_openapi::api::discovery::v1::EndpointSlice;
use std::collections::HashMap;
use std::collections::hash_map::DefaultHasher;
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
    ready: bool,
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
}

fn read_endpoint(endpoint: &k8s_openapi::api::discovery::v1::Endpoint) -> Option<Endpoint> {
    let mut identity = DefaultHasher::new();
    match &endpoint.target_ref {
        Some(target) => {
            // Linkerd sends to nothing else.
            if !matches!(target.kind.as_deref(), Some("Pod" | "ExternalWorkload")) {
                return None;
            }
            (&target.kind, &target.namespace, &target.name, &target.uid).hash(&mut identity);
        }
        None => endpoint.addresses.first()?.hash(&mut identity),
    }
    let ready = endpoint.conditions.as_ref().and_then(|c| c.ready).unwrap_or(true);
    Some(Endpoint { identity: identity.finish(), ready })
}

/// Ready and total endpoints over all slices of a Service, each endpoint counted once.
///
/// `ports` are the names that a slice must offer for its endpoints to count at all.
pub fn count<'a>(slices: impl Iterator<Item = &'a SliceFacts>, ports: &[&str]) -> (u32, u32) {
    let mut seen: HashMap<u64, bool> = HashMap::new();
    for slice in slices {
        let offered = ports.iter().all(|port| slice.ports.iter().any(|p| p == port));
        for endpoint in &slice.endpoints {
            // While a slice is rebalanced an endpoint may stand in two of them.
            *seen.entry(endpoint.identity).or_default() |= endpoint.ready && offered;
        }
    }
    let ready = seen.values().filter(|ready| **ready).count();
    (u32::try_from(ready).unwrap_or(u32::MAX), u32::try_from(seen.len()).unwrap_or(u32::MAX))
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
        count(read.iter(), ports)
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
    fn families_that_no_proxy_uses_are_left_out() {
        assert!(facts(json!({"addressType": "IPv6"})).is_none());
        assert!(facts(json!({"addressType": "FQDN"})).is_none());
    }
}
