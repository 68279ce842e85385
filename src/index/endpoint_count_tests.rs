use super::*;
use crate::index::endpoints::AddressFamilies;
use crate::kinds::pods::PodName;
use serde_json::{Value, json};

fn facts(slice: Value) -> Option<SliceFacts> {
    let mut merged = json!({"addressType": "IPv4", "endpoints": [], "metadata": {}});
    json_patch::merge(&mut merged, &slice);
    SliceFacts::read(&serde_json::from_value(merged).unwrap(), AddressFamilies::default())
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
fn an_endpoint_is_ready_unless_its_condition_is_false() {
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
fn without_a_target_the_address_identifies_an_endpoint() {
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
        let pods: Vec<Value> = pods.iter().map(|(name, ready)| pod(name, json!(ready))).collect();
        json!({"ports": ports, "endpoints": pods})
    };
    let apart = [slice(&["web"], &[("w", true)]), slice(&["adm"], &[("a", true), ("b", false)])];
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
fn no_more_ports_are_counted_than_the_limit() {
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
fn a_terminating_endpoint_does_not_count_unless_it_still_takes_traffic() {
    let terminating = |ready: bool| {
        json!({"addresses": ["10.0.0.1"],
        "conditions": {"ready": ready, "serving": true, "terminating": true},
        "targetRef": {"kind": "Pod", "name": format!("terminating-{ready}")}})
    };
    let slice =
        json!({"endpoints": [pod("a", json!(true)), terminating(false), terminating(true)]});
    assert_eq!(counted(&[slice], &[]), (2, 2));
}

#[test]
fn announced_pods_that_are_ready_are_counted_once_and_with_the_first_end() {
    let uid = |i: usize| format!("00000000-0000-4000-8000-00000000000{i}");
    let pod = |i: usize, ready: bool| {
        json!({"addresses": ["10.0.0.1"],
        "conditions": {"ready": ready},
        "targetRef": {"kind": "Pod", "namespace": "ns", "name": format!("p{i}"), "uid": uid(i)}})
    };
    let one = facts(json!({"endpoints": [pod(1, true), pod(2, true), pod(3, false)]})).unwrap();
    let two = facts(json!({"endpoints": [pod(1, true), pod(4, true)]})).unwrap();
    let until = |seconds| Some(SteadyTime::at(seconds));
    let announced_until = |pod: PodUid| match pod.to_string() {
        pod if pod == uid(1) => until(30),
        pod if pod == uid(2) || pod == uid(3) => until(20),
        _ => None,
    };
    let counted = count([&one, &two].into_iter(), &[], announced_until);
    let announced = Announced { count: 2, until: until(20).unwrap() };
    let (ready, total, ports) = (3, 4, vec![]);
    assert_eq!(counted, EndpointCount { ready, total, ports, announced: Some(announced) });
    let known: Vec<_> = one.pods().map(|(pod, ready)| (pod.name, ready)).collect();
    assert_eq!(known[0], (PodName::new("ns", "p1"), true));
    assert_eq!(known[2], (PodName::new("ns", "p3"), false));
}

#[test]
fn families_that_no_proxy_uses_are_ignored() {
    assert!(facts(json!({"addressType": "IPv6"})).is_none());
    assert!(facts(json!({"addressType": "FQDN"})).is_none());
}

#[test]
fn without_ipv6_only_the_addresses_of_pods_are_ignored() {
    let target =
        |kind: &str| json!({"addresses": ["fd00::2"], "targetRef": {"kind": kind, "name": "t"}});
    let slice = json!({"addressType": "IPv6", "endpoints": [
        pod("a", json!(true)), target("ExternalWorkload"), {"addresses": ["fd00::3"]},
    ]});
    assert_eq!(counted(std::slice::from_ref(&slice), &[]), (2, 2));
    let mut merged = json!({"addressType": "IPv6", "metadata": {}, "endpoints": []});
    json_patch::merge(&mut merged, &slice);
    let families = AddressFamilies { ipv6: true };
    let facts = SliceFacts::read(&serde_json::from_value(merged).unwrap(), families).unwrap();
    assert_eq!(count([&facts].into_iter(), &[], |_| None).ready, 3);
    let pods = json!({"addressType": "IPv6", "endpoints": [pod("a", json!(true))]});
    assert!(self::facts(pods).is_none());
}
