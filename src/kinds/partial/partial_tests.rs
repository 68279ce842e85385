use super::*;
use crate::engine::{Defaults, annotations};
use crate::index::endpoints::{AddressFamilies, SliceFacts};
use crate::index::managed_object::ManagedObject;
use crate::index::profile_facts::ProfileFacts;
use crate::index::service_facts::ServiceFacts;
use crate::kinds::Kind;
use kube::ResourceExt;
use kube::core::{DynamicObject, WatchEvent};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

/// From text, as an answer has it.
fn read<T: DeserializeOwned>(object: &Value) -> T {
    serde_json::from_str(&object.to_string()).unwrap()
}

fn managed_fields(weights: &str) -> Value {
    let entry = |manager: &str, operation: &str, fields: Value| {
        json!({"manager": manager, "operation": operation, "apiVersion": "v1",
            "time": "2026-11-26T01:02:03Z", "fieldsType": "FieldsV1", "fieldsV1": fields})
    };
    json!([
        entry("kubectl", "Apply", json!({
            "f:metadata": {"f:labels": {"f:app": {}}},
            "f:spec": {"f:service": {}, (weights): {}}})),
        entry("linkerd-failover", "Update", json!({
            "f:metadata": {"f:annotations": {".": {}, "f:failover.linkerd.io/state": {}}},
            "f:spec": {(weights): {".": {}, "k:{\"name\":\"a\"}": {}}}})),
        entry("someone", "Update", json!({"f:status": {"f:parents": {}}})),
        {"manager": "none"},
    ])
}

fn metadata(weights: &str) -> Value {
    json!({
        "name": "web", "namespace": "ns", "uid": "0189abcd-ef01-4abc-8def-0123456789ab",
        "resourceVersion": "7", "generation": 3, "creationTimestamp": "2026-11-25T01:02:03Z",
        "labels": {"app": "web", "linkerd.io/x": "y"},
        "annotations": {
            annotations::LAST_APPLIED: "{\"a\": 1}",
            annotations::PRIMARY_SERVICE: "web",
            annotations::AUTHORED_WEIGHTS: r#"{"v":1,"sets":{"":{"web":1,"web-west":0}}}"#,
        },
        "ownerReferences": [
            {"apiVersion": "v1", "kind": "ConfigMap", "name": "c", "uid": "u"},
            {"apiVersion": "v1", "kind": "TrafficSplit", "name": "web", "uid": "v"},
        ],
        "managedFields": managed_fields(weights),
    })
}

fn split() -> Value {
    json!({"apiVersion": "split.smi-spec.io/v1alpha2", "kind": "TrafficSplit",
        "metadata": metadata("f:backends"),
        "spec": {"service": "web", "backends": [
            {"service": "web", "weight": 1}, {"service": "web-west", "weight": "0"}]}})
}

fn route() -> Value {
    let backend = |name: &str| json!({"name": name, "port": 80, "weight": 1});
    let condition = json!({"type": "Accepted", "status": "False", "reason": "NoMatchingParent"});
    json!({"apiVersion": "gateway.networking.k8s.io/v1", "kind": "HTTPRoute",
        "metadata": metadata("f:rules"),
        "spec": {
            "parentRefs": [{"group": "core", "kind": "Service", "name": "web", "port": 80}],
            "rules": [{"matches": [{"path": {"value": "/"}}],
                "backendRefs": [backend("web"), backend("web-west")]}]},
        "status": {"parents": [{"controllerName": "linkerd.io/policy-controller",
            "parentRef": {"name": "web"}, "conditions": [condition]}]}})
}

#[test]
fn the_facts_of_a_failover_object_are_those_of_the_whole_object() {
    for (kind, object) in [(Kind::TrafficSplit, split()), (Kind::HttpRoute, route())] {
        let facts =
            |object: &DynamicObject| ManagedObject::read(kind, object, &Defaults::default());
        let whole = facts(&read(&object));
        assert_eq!(whole.owners.claims.len(), 1, "{kind}");
        assert_eq!(facts(&read::<PartialObject>(&object)), whole);
    }
}

#[test]
fn the_facts_of_a_service_profile_are_those_of_the_whole_object() {
    let profile = json!({"metadata": metadata("f:x"), "spec": {
        "dstOverrides": [{"authority": "web.ns.svc.cluster.local", "weight": "1"}],
        "routes": [], "opaquePorts": null, "retryBudget": {"ttl": "10s"}}});
    let whole = ProfileFacts::read(&read(&profile));
    assert_eq!((whole.owners, whole.has_more), (2, true));
    assert_eq!(ProfileFacts::read(&read::<PartialObject>(&profile)), whole);
}

#[test]
fn an_object_keeps_its_labels_and_linkerds_annotations() {
    let found: PartialObject = read(&split());
    assert_eq!(found.labels().len(), 2);
    assert_eq!(found.annotations().len(), 2, "{:?}", found.annotations());
    let mut object = split();
    object["metadata"]["annotations"] = json!({"example.com/x": "y"});
    let without: PartialObject = read(&object);
    // A patch has to know whether there are any: it adds to them, or makes the first.
    assert_eq!(without.metadata.annotations, Some([].into()));
}

fn endpoint(name: &str) -> Value {
    json!({"addresses": ["10.0.0.1", "10.0.0.2"], "conditions": {"ready": true, "serving": true},
        "nodeName": "n", "targetRef": {"kind": "Pod", "namespace": "ns", "name": name,
            "uid": "0189abcd-ef01-4abc-8def-0123456789ab"}, "zone": "a"})
}

fn slice(endpoints: Value) -> Value {
    json!({"addressType": "IPv4", "apiVersion": "discovery.k8s.io/v1", "endpoints": endpoints,
        "metadata": {"name": "web-x", "namespace": "ns", "resourceVersion": "7",
            "labels": {"kubernetes.io/service-name": "web"},
            "annotations": {"endpoints.kubernetes.io/last-change-trigger-time": "2026"},
            "managedFields": managed_fields("f:x")},
        "ports": [{"name": "http", "port": 80, "protocol": "TCP"}, {"port": 81}]})
}

#[test]
fn an_endpoint_is_the_same_whether_its_text_is_borrowed_escaped_or_already_a_value() {
    let object = slice(json!([endpoint("web-a"), {"addresses": ["10.0.0.9"]}]));
    let borrowed: PartialSlice = read(&object);
    let escaped = object.to_string().replace("web-a", r"\u0077eb-\u0061");
    let escaped: PartialSlice =
        serde_json::from_str(&escaped.replace("10.0.0.9", r"10.0.0.\u0039")).unwrap();
    let of_value: PartialSlice = serde_json::from_value(object).unwrap();
    assert_eq!(borrowed.endpoints.len(), 2);
    assert!(borrowed.endpoints[0].is_pod && borrowed.endpoints[0].pod.is_some());
    assert_eq!(borrowed.endpoints, escaped.endpoints);
    assert_eq!(borrowed.endpoints, of_value.endpoints);
    let other: PartialSlice = read(&slice(json!([endpoint("web-b")])));
    assert_ne!(borrowed.endpoints[0].identity, other.endpoints[0].identity);
}

#[test]
fn what_an_api_server_writes_as_null_is_read_as_none() {
    let mut empty = slice(Value::Null);
    empty["ports"] = Value::Null;
    empty["metadata"]["annotations"] = Value::Null;
    let read_empty: PartialSlice = read(&empty);
    assert!(SliceFacts::read(&read_empty, AddressFamilies::default()).is_some());
    let odd = json!([{"addresses": null}, {"addresses": [], "conditions": null, "targetRef": null},
        {"targetRef": {"kind": null}}]);
    assert_eq!(read::<PartialSlice>(&slice(odd)).endpoints, []);
    let service =
        json!({"metadata": null, "spec": {"ports": null, "selector": null, "type": null}});
    assert!(ServiceFacts::read(&read(&service)).ports.is_empty());
    let object: PartialObject = read(&json!({"metadata": {"managedFields": null}, "spec": null}));
    assert_eq!(object.data, json!({}));
}

#[test]
fn an_address_type_that_is_not_known_is_read_and_has_no_facts() {
    let mut named = slice(json!([{"addresses": ["example.com"]}]));
    named["addressType"] = json!("FQDN");
    assert_eq!(SliceFacts::read(&read(&named), AddressFamilies::default()), None);
}

#[test]
fn an_event_of_a_watch_is_read_whatever_the_order_of_its_fields() {
    let object = slice(json!([endpoint("a")])).to_string();
    for line in [
        format!(r#"{{"type":"ADDED","object":{object}}}"#),
        format!(r#"{{"object":{object},"type":"ADDED"}}"#),
    ] {
        let event: WatchEvent<PartialSlice> = serde_json::from_str(&line).unwrap();
        let WatchEvent::Added(read) = event else { panic!("{line}") };
        assert_eq!((read.name_any(), read.endpoints.len()), ("web-x".into(), 1));
    }
}
