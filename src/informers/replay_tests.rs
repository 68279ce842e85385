use super::*;
use serde_json::{Value, json};

fn page(version: u64, items: Vec<Value>) -> String {
    json!({"metadata": {"resourceVersion": version.to_string()}, "items": items}).to_string()
}

fn metadata(name: &str, version: u64) -> Value {
    json!({"name": name, "namespace": "ns", "uid": name, "resourceVersion": version.to_string()})
}

fn service(name: &str) -> Value {
    let ports = json!([{"name": "http", "port": 80}]);
    json!({"metadata": metadata(name, 1), "spec": {"ports": ports}})
}

fn slice(service: &str, version: u64, ready: bool) -> Value {
    let mut slice = json!({"addressType": "IPv4", "ports": [{"name": "http", "port": 80}],
        "endpoints": [{"addresses": ["10.0.0.1"], "conditions": {"ready": ready}}],
        "metadata": metadata(&format!("{service}-x"), version)});
    slice["metadata"]["labels"] = json!({"kubernetes.io/service-name": service});
    slice
}

/// A split of `web` and `web-west`, and a Service that it does not name.
fn replay() -> Replay {
    let replay = Replay::new(true).unwrap();
    let names = ["web", "web-west", "other"];
    let split = json!({"metadata": metadata("web", 1), "spec": {"service": "web", "backends": [
        {"service": "web", "weight": 1}, {"service": "web-west", "weight": 0}]}});
    let slices = names.map(|name| slice(name, 1, true)).to_vec();
    for (resource, items) in [
        (Resource::TrafficSplits, vec![split]),
        (Resource::Services, names.map(service).to_vec()),
        (Resource::EndpointSlices, slices),
    ] {
        replay.list(resource, [page(1, items)].into_iter()).unwrap();
    }
    replay
}

fn modified(object: &Value) -> String {
    format!(r#"{{"type":"MODIFIED","object":{object}}}"#)
}

#[tokio::test]
async fn a_slice_that_no_object_depends_on_wakes_nobody_and_makes_no_request() {
    let mut replay = replay();
    assert_ne!(replay.reported(), 0);
    for (version, ready) in [(2, false), (3, true)] {
        replay.event(Resource::EndpointSlices, &modified(&slice("other", version, ready))).unwrap();
    }
    assert!(replay.changes.try_recv().is_err(), "not even without an object");
    // One that says nothing new of a Service that is depended on.
    replay.event(Resource::EndpointSlices, &modified(&slice("web", 4, true))).unwrap();
    assert!(replay.changes.try_recv().is_err());
    replay.event(Resource::EndpointSlices, &modified(&slice("web", 5, false))).unwrap();
    assert_eq!((replay.reported(), replay.requests()), (1, 0));
}

#[tokio::test]
async fn every_object_has_the_health_of_its_backends() {
    assert_eq!(replay().health_of_all(), 2);
}
