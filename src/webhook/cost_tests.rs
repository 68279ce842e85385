//! What a review costs, from the bytes of its request to those of its response, without TLS and HTTP:
//! `make bench-reviews`.

use crate::admission::test_support::{LABEL, NAMESPACE, World, mutate};
use crate::engine::{Defaults, Identity};
use crate::index::shared_index::SharedIndex;
use crate::index::store::Index;
use crate::kinds::Kind;
use crate::telemetry::{ReviewOutcome, ReviewPath};
use crate::webhook::handler::Handler;
use crate::webhook::response::{ReviewResponse, answer};
use futures::FutureExt;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// Services with an endpoint each: what the objects below name.
fn world() -> World {
    let names: Vec<String> = (0..128).map(backend).collect();
    let services: Vec<(&str, usize)> = names.iter().map(|name| (name.as_str(), 1)).collect();
    World::with(&services)
}

fn handler() -> Handler {
    let (shared, _) = SharedIndex::new();
    shared.update(|index: &mut Index| {
        *index = world().index;
        vec![]
    });
    Handler {
        client: unreachable_client(),
        shared,
        selector: Arc::new("failover.linkerd.io/controlled-by=linkerd-failover".parse().unwrap()),
        rules: Arc::default(),
        defaults: Defaults::default(),
        me: Identity::new("linkerd-failover-5d9c7bd6f8-x2x9z"),
    }
}

fn unreachable_client() -> kube::Client {
    let none = tower::service_fn(|_: axum::http::Request<kube::client::Body>| {
        std::future::ready(Err::<axum::http::Response<kube::client::Body>, _>(
            std::io::Error::other("no look-up is needed"),
        ))
    });
    kube::Client::new(none, "default")
}

fn backend(i: usize) -> String {
    format!("emoji-svc-{i}")
}

/// Of one client and of the controller, as an API server shows them.
fn managed_fields(weights: &str) -> Value {
    let author = json!({"f:metadata": {"f:annotations": {".": {},
        "f:kubectl.kubernetes.io/last-applied-configuration": {}},
        "f:labels": {".": {}, "f:app.kubernetes.io/part-of": {}, format!("f:{LABEL}"): {}}},
        "f:spec": {".": {}, "f:service": {}}});
    let ours = json!({"f:metadata": {"f:annotations": {
        "f:failover.linkerd.io/authored-weights": {}, "f:failover.linkerd.io/state": {}}},
        "f:spec": {weights: {}}});
    let entry = |manager: &str, fields: Value| {
        json!({"manager": manager, "operation": "Update", "time": "2026-11-26T03:00:00Z",
            "apiVersion": "split.smi-spec.io/v1alpha2", "fieldsType": "FieldsV1", "fieldsV1": fields})
    };
    json!([entry("kubectl-client-side-apply", author), entry("linkerd-failover", ours)])
}

fn object(api_version: &str, kind: &str, spec: &Value, weights: &str) -> Value {
    json!({"apiVersion": api_version, "kind": kind,
        "metadata": {"name": "emoji", "namespace": NAMESPACE, "generation": 3,
            "uid": "4c0e5a2e-6a0c-4d0a-9a55-0b6f2c3a7d11", "resourceVersion": "4711",
            "creationTimestamp": "2026-11-25T03:00:00Z",
            "labels": {LABEL: "linkerd-failover", "app.kubernetes.io/part-of": "emojivoto"},
            "annotations": {"example.com/owner": "team-emoji"},
            "managedFields": managed_fields(weights)},
        "spec": spec})
}

fn split(backends: usize, first: u32) -> Value {
    let weight = |i: usize| if i == 0 { first } else { 0 };
    let backends: Vec<_> =
        (0..backends).map(|i| json!({"service": backend(i), "weight": weight(i)})).collect();
    let spec = json!({"service": backend(0), "backends": backends});
    object("split.smi-spec.io/v1alpha2", "TrafficSplit", &spec, "f:backends")
}

fn route(rules: usize, first: u32) -> Value {
    let rule = |i: usize| {
        json!({"name": format!("rule-{i}"),
            "matches": [{"path": {"type": "PathPrefix", "value": format!("/api/v{i}")},
                "headers": [{"type": "Exact", "name": "x-tenant", "value": "blue"}]}],
            "filters": [{"type": "RequestHeaderModifier", "requestHeaderModifier": {
                "add": [{"name": "x-from", "value": "route"}]}}],
            "timeouts": {"request": "10s"},
            "backendRefs": [
                {"group": "", "kind": "Service", "name": backend(0), "port": 8080, "weight": first},
                {"group": "", "kind": "Service", "name": backend(1), "port": 8080, "weight": 0}]})
    };
    let rules: Vec<_> = (0..rules).map(rule).collect();
    let spec = json!({"parentRefs": [{"group": "core", "kind": "Service", "name": backend(0),
        "port": 8080}], "rules": rules});
    object("gateway.networking.k8s.io/v1", "HTTPRoute", &spec, "f:rules")
}

fn review(operation: &str, object: &Value, old: &Value) -> Vec<u8> {
    let api_version = object["apiVersion"].as_str().unwrap();
    let (group, version) = api_version.split_once('/').unwrap();
    let kind = json!({"group": group, "version": version, "kind": object["kind"]});
    let plural = format!("{}s", object["kind"].as_str().unwrap().to_lowercase());
    let resource = json!({"group": group, "version": version, "resource": plural});
    json!({"kind": "AdmissionReview", "apiVersion": "admission.k8s.io/v1", "request": {
        "uid": "705ab4f5-6393-11e8-b7cc-42010a800002", "kind": kind, "resource": resource,
        "requestKind": kind, "requestResource": resource, "name": "emoji",
        "namespace": NAMESPACE, "operation": operation,
        "userInfo": {"username": "kubernetes-admin",
            "groups": ["kubeadm:cluster-admins", "system:authenticated"],
            "extra": {"authentication.kubernetes.io/credential-id": ["X509SHA256=4cf1d4c4"]}},
        "object": object, "oldObject": old, "dryRun": false,
        "options": {"kind": "UpdateOptions", "apiVersion": "meta.k8s.io/v1",
            "fieldManager": "kubectl-client-side-apply", "fieldValidation": "Strict"},
    }})
    .to_string()
    .into_bytes()
}

/// The object as the mutating webhook leaves a new one.
fn admitted(kind: Kind, object: &Value) -> Value {
    let (mut world, mut admitted) = (world(), object.clone());
    world.kind = kind;
    let sent = serde_json::from_value(object.clone()).unwrap();
    let edit = mutate(None, &sent, &world.view()).edit;
    json_patch::patch(&mut admitted, &edit.into_patch()).unwrap();
    admitted
}

/// A create, and an edit of one weight.
fn reviews(kind: Kind, of: impl Fn(u32) -> Value) -> [Vec<u8>; 2] {
    let old = admitted(kind, &of(1));
    let (mut new, mut created) = (of(2), of(1));
    new["metadata"]["annotations"] = old["metadata"]["annotations"].clone();
    for field in ["uid", "resourceVersion", "managedFields"] {
        created["metadata"][field] = Value::Null;
    }
    [review("CREATE", &created, &Value::Null), review("UPDATE", &new, &old)]
}

struct Case {
    name: &'static str,
    body: Vec<u8>,
}

fn cases() -> Vec<Case> {
    let [split_created, split_edited] = reviews(Kind::TrafficSplit, |w| split(2, w));
    let [route_created, route_edited] = reviews(Kind::HttpRoute, |w| route(10, w));
    let [huge_created, huge_edited] = reviews(Kind::TrafficSplit, |w| split(128, w));
    let case = |name, body| Case { name, body };
    vec![
        case("split, created", split_created),
        case("split, edited", split_edited),
        case("route of 10 rules, created", route_created),
        case("route of 10 rules, edited", route_edited),
        case("split of 128 backends, created", huge_created),
        case("split of 128 backends, edited", huge_edited),
    ]
}

/// No look-up is needed, so that it is there at once.
fn answered(handler: &Handler, path: ReviewPath, body: &[u8]) -> ReviewResponse {
    let deadline = Instant::now() + Duration::from_secs(60);
    answer(handler, path, body, deadline).now_or_never().unwrap()
}

const PATHS: [ReviewPath; 2] = [ReviewPath::Mutate, ReviewPath::Validate];

#[tokio::test]
async fn what_is_measured_is_allowed_from_the_cache_and_changes_with_an_edit() {
    let handler = handler();
    for Case { name, body } in cases() {
        for path in PATHS {
            let response = answered(&handler, path, &body);
            assert_eq!(response.outcome, ReviewOutcome::Allowed, "{name}");
            let review: Value = serde_json::from_slice(&response.review.unwrap()).unwrap();
            let is_patched = review["response"].get("patch").is_some();
            assert_eq!(is_patched, path == ReviewPath::Mutate, "{name}: {review}");
        }
    }
}

/// The median of the times of a hundred reviews, in microseconds.
fn median(review: impl Fn()) -> f64 {
    let time = |_| {
        let began = std::time::Instant::now();
        (0..100).for_each(|_| review());
        began.elapsed()
    };
    let mut times: Vec<Duration> = (0..51).map(time).collect();
    times.sort_unstable();
    times[times.len() / 2].as_secs_f64() * 1e6 / 100.0
}

/// With `REVIEWS`, so many of one case and nothing else, for a profiler or a count of allocations.
#[tokio::test]
#[ignore = "prints figures"]
async fn figures() {
    let handler = handler();
    let only = std::env::var("REVIEWS").ok().and_then(|reviews| reviews.parse::<usize>().ok());
    let wanted = std::env::var("CASE").unwrap_or_default();
    for Case { name, body } in cases() {
        for path in PATHS {
            let case = format!("/{} {name}", path.as_str());
            if !case.contains(&wanted) {
                continue;
            }
            let review = || drop(std::hint::black_box(answered(&handler, path, &body)));
            match only {
                Some(reviews) => (0..reviews).for_each(|_| review()),
                None => println!("{case}: {:.1} µs, {} bytes", median(review), body.len()),
            }
        }
    }
}
