//! What a decision needs of an EndpointSlice.

use crate::engine::SteadyTime;
use crate::engine::{Announced, MOST_PORTS, PortSet};
use crate::index::service_facts::ServicePort;
use k8s_openapi::api::discovery::v1::EndpointSlice;
use std::collections::HashMap;
use std::collections::hash_map::DefaultHasher;
use std::fmt;
use std::hash::{Hash, Hasher};

/// Who makes a slice, where that is Kubernetes itself.
const MANAGED_BY: (&str, &str) =
    ("endpointslice.kubernetes.io/managed-by", "endpointslice-controller.k8s.io");

/// Label by which a slice belongs to a Service.
pub(crate) const SERVICE_NAME: &str = "kubernetes.io/service-name";

/// The address families that the proxies use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct AddressFamilies {
    /// Linkerd uses IPv6 only where it is told to (`disableIPv6: false`).
    pub ipv6: bool,
}

/// A slice, as small as a decision allows.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct SliceFacts {
    /// Kubernetes makes it of the Service and its pods: it has the ports that the Service declares.
    follows: bool,
    /// Names of the ports offered; the unnamed port is `""`.
    ports: Vec<String>,
    endpoints: Vec<Endpoint>,
}

#[derive(Clone, Debug, PartialEq)]
struct Endpoint {
    /// Hash of the targetRef, or of the address where there is none.
    identity: u64,
    is_pod: bool,
    pod: Option<PodEndpoint>,
    ready: bool,
    /// It is on its way out, and neither ready nor lost.
    terminating: bool,
}

/// The pod of an endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PodEndpoint {
    pub uid: PodUid,
    pub name: PodName,
}

/// A pod's uid, as small as it can be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct PodUid(u128);

impl PodUid {
    /// Reads a UUID, which is what an API server makes.
    pub(crate) fn parse(text: &str) -> Option<Self> {
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
pub(crate) struct PodName(u64);

impl PodName {
    pub(crate) fn new(namespace: &str, name: &str) -> Self {
        let mut hasher = DefaultHasher::new();
        (namespace, name).hash(&mut hasher);
        Self(hasher.finish())
    }
}

impl SliceFacts {
    /// The facts of a slice; none where no proxy would use its addresses.
    pub(crate) fn read(slice: &EndpointSlice, families: AddressFamilies) -> Option<Self> {
        let endpoints = slice.endpoints.iter().filter_map(read_endpoint);
        let endpoints: Vec<Endpoint> = match slice.address_type.as_str() {
            "IPv4" => endpoints.collect(),
            "IPv6" if families.ipv6 => endpoints.collect(),
            // Linkerd leaves out the IPv6 addresses of pods alone: a gateway's, or those of an
            // external workload, it sends to.
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

    /// Whether its ports have changed to some that a Service which declares these has not: that has
    /// changed too, and is told later.
    pub(crate) fn overtakes(&self, before: &Self, declared: &[ServicePort]) -> bool {
        let undeclared = |name: &String| declared.iter().all(|port| port.name != *name);
        self.follows
            && self.ports != before.ports
            && before.has_ready()
            && self.has_ready()
            && self.ports.iter().any(undeclared)
    }

    /// Which of these ports it offers, by their place.
    fn offered(&self, ports: &[Option<&str>]) -> PortSet {
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

    /// What tells the endpoints apart.
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
/// is one that the Service does not have. `leaves` says of a pod that is about to be deleted until
/// when that is believed.
pub(crate) fn count<'a>(
    slices: impl Iterator<Item = &'a SliceFacts>,
    ports: &[Option<&str>],
    leaves: impl Fn(PodUid) -> Option<SteadyTime>,
) -> EndpointCount {
    #[derive(Default)]
    struct Seen {
        ready: bool,
        stays: bool,
        /// The asked ports that it offers, and those that it is ready on.
        offers: PortSet,
        ready_on: PortSet,
        leaves: Option<SteadyTime>,
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
            seen.leaves = endpoint.pod.and_then(|pod| leaves(pod.uid));
        }
        if slice.endpoints.iter().any(|endpoint| endpoint.ready) {
            for place in places(offered) {
                together[place] &= offered;
            }
        }
    }
    let mut counted = EndpointCount::default();
    counted.ports.resize(ports.len(), PortEndpointCount::default());
    for Seen { ready, stays, offers, ready_on, leaves } in seen.into_values() {
        counted.total = counted.total.saturating_add(u32::from(stays));
        counted.ready = counted.ready.saturating_add(u32::from(ready));
        let takes_traffic = if ports.is_empty() { ready } else { ready_on != 0 };
        if let Some(until) = leaves.filter(|_| takes_traffic) {
            let one = Announced { count: 1, until };
            counted.announced = Some(one.and(counted.announced));
        }
        for place in places(offers) {
            let (port, ready) = (&mut counted.ports[place], ready_on & 1 << place != 0);
            port.total = port.total.saturating_add(u32::from(stays));
            port.ready = port.ready.saturating_add(u32::from(ready));
            port.announced = port.announced.saturating_add(u32::from(ready && leaves.is_some()));
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
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn facts(slice: Value) -> Option<SliceFacts> {
        let mut whole = json!({"addressType": "IPv4", "endpoints": [], "metadata": {}});
        json_patch::merge(&mut whole, &slice);
        SliceFacts::read(&serde_json::from_value(whole).unwrap(), AddressFamilies::default())
    }

    fn count_of(slices: &[Value], ports: &[&str]) -> EndpointCount {
        let read: Vec<_> = slices.iter().filter_map(|s| facts(s.clone())).collect();
        let ports: Vec<_> = ports.iter().map(|port| Some(*port)).collect();
        count(read.iter(), &ports, |_| None)
    }

    /// Of the first port; without any, of all.
    fn counted(slices: &[Value], ports: &[&str]) -> (u32, u32) {
        let counted = count_of(slices, ports);
        let first = counted.ports.first().map(|port| (port.ready, port.total));
        first.unwrap_or((counted.ready, counted.total))
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
        assert_eq!(counted(std::slice::from_ref(&slice), &["grpc"]), (0, 0));
        assert_eq!(counted(&[slice], &["admin"]), (1, 1));
    }

    #[test]
    fn ports_are_counted_one_by_one_over_all_slices_that_offer_them() {
        let slice = |ports: &[&str], pods: &[(&str, bool)]| {
            let ports: Vec<Value> = ports.iter().map(|name| json!({"name": name})).collect();
            let pods: Vec<Value> =
                pods.iter().map(|(name, ready)| pod(name, json!(ready))).collect();
            json!({"ports": ports, "endpoints": pods})
        };
        let apart =
            [slice(&["web"], &[("w", true)]), slice(&["adm"], &[("a", true), ("b", false)])];
        let counted = count_of(&apart, &["web", "adm", "log"]);
        let of = |counted: &EndpointCount| -> Vec<(u32, u32, PortSet)> {
            counted.ports.iter().map(|port| (port.ready, port.total, port.with)).collect()
        };
        assert_eq!(of(&counted), [(1, 1, 0), (1, 2, 0), (0, 0, 0)]);
        assert_eq!((counted.ready, counted.total), (2, 3));
        // A rollout: old pods offer both ports, new ones the first alone.
        let rollout = [slice(&["web", "adm"], &[("o", true)]), slice(&["web"], &[("n", true)])];
        assert_eq!(of(&count_of(&rollout, &["web", "adm"])), [(2, 2, 0b00), (1, 1, 0b01)]);
        // A pod that stands in two slices is one endpoint.
        let twice = [slice(&["web"], &[("o", true)]), slice(&["web", "adm"], &[("o", true)])];
        assert_eq!(of(&count_of(&twice, &["web", "adm"])), [(1, 1, 0b00), (1, 1, 0b01)]);
    }

    #[test]
    fn as_many_ports_as_a_service_may_have_are_counted_in_no_time() {
        let names: Vec<String> = (0..2_000).map(|i| format!("port-{i}")).collect();
        let ports: Vec<Value> = names.iter().map(|name| json!({"name": name})).collect();
        let slice = json!({"ports": ports, "endpoints": [pod("a", json!(true))]});
        let asked: Vec<&str> = names.iter().map(String::as_str).collect();
        let counted = count_of(&[slice], &asked);
        assert_eq!(counted.ports.len(), MOST_PORTS);
        assert!(counted.ports.iter().all(|port| port.ready == 1));
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
        let until = |seconds| Some(SteadyTime::at(seconds));
        let leaves = |pod: PodUid| match pod.to_string() {
            pod if pod == uid(1) => until(30),
            pod if pod == uid(2) || pod == uid(3) => until(20),
            _ => None,
        };
        let counted = count([&one, &two].into_iter(), &[], leaves);
        let announced = Announced { count: 2, until: until(20).unwrap() };
        let (ready, total, ports) = (3, 4, vec![]);
        assert_eq!(counted, EndpointCount { ready, total, ports, announced: Some(announced) });
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

    #[test]
    fn without_ipv6_the_addresses_of_pods_alone_are_left_out() {
        let target = |kind: &str| json!({"addresses": ["fd00::2"], "targetRef": {"kind": kind, "name": "t"}});
        let slice = json!({"addressType": "IPv6", "endpoints": [
            pod("a", json!(true)), target("ExternalWorkload"), {"addresses": ["fd00::3"]},
        ]});
        assert_eq!(counted(std::slice::from_ref(&slice), &[]), (2, 2));
        let mut whole = json!({"addressType": "IPv6", "metadata": {}, "endpoints": []});
        json_patch::merge(&mut whole, &slice);
        let families = AddressFamilies { ipv6: true };
        let facts = SliceFacts::read(&serde_json::from_value(whole).unwrap(), families).unwrap();
        assert_eq!(count([&facts].into_iter(), &[], |_| None).ready, 3);
        let pods = json!({"addressType": "IPv6", "endpoints": [pod("a", json!(true))]});
        assert!(self::facts(pods).is_none());
    }
}
