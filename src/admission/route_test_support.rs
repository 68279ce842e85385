//! Routes for tests of admission.

use crate::admission::test_support::{LABEL, NAMESPACE, World, mutate, stored, validate};
use crate::admission::validate::Validation;
use crate::kinds::Kind;
use kube::core::DynamicObject;
use serde_json::{Value, json};

pub(crate) fn world() -> World {
    let mut world = World::with(&[("emoji-svc", 1), ("emoji-svc-west", 1), ("web-svc", 1)]);
    world.kind = Kind::HttpRoute;
    world
}

pub(crate) fn backend(name: &str, weight: u32) -> Value {
    json!({"name": name, "port": 8080, "weight": weight})
}

/// A managed route with these rules, each a path and its backends.
pub(crate) fn http_route(rules: &[(&str, Value)]) -> DynamicObject {
    let rules: Vec<_> = rules
        .iter()
        .map(|(path, backends)| {
            json!({"matches": [{"path": {"value": path}}], "backendRefs": backends,
                "filters": [{"type": "RequestHeaderModifier"}], "timeouts": {"request": "1s"}})
        })
        .collect();
    serde_json::from_value(json!({
        "apiVersion": "gateway.networking.k8s.io/v1",
        "kind": "HTTPRoute",
        "metadata": {"name": "emoji", "namespace": NAMESPACE, "labels": {LABEL: "linkerd-failover"}},
        "spec": {
            "parentRefs": [{"group": "core", "kind": "Service", "name": "emoji-svc", "port": 8080}],
            "rules": rules,
        },
    }))
    .unwrap()
}

pub(crate) fn two_rules() -> DynamicObject {
    http_route(&[
        ("/api", json!([backend("emoji-svc", 9), backend("emoji-svc-west", 0)])),
        ("/", json!([backend("emoji-svc", 1), backend("emoji-svc-west", 0)])),
        ("/web", json!([backend("web-svc", 5)])),
    ])
}

/// The object as it is after the mutating webhook.
pub(crate) fn mutated(
    world: &World,
    old: Option<&DynamicObject>,
    new: &DynamicObject,
) -> DynamicObject {
    let mut json = serde_json::to_value(new).unwrap();
    let edit = mutate(old, new, &world.view()).edit;
    json_patch::patch(&mut json, &edit.into_patch()).unwrap();
    serde_json::from_value(json).unwrap()
}

pub(crate) fn weights(route: &DynamicObject) -> Vec<Vec<u64>> {
    let rules = route.data["spec"]["rules"].as_array().unwrap();
    let refs = |rule: &Value| rule["backendRefs"].as_array().unwrap().clone();
    let weights = |rule| refs(rule).iter().map(|b| b["weight"].as_u64().unwrap()).collect();
    rules.iter().map(weights).collect()
}

/// The route as it is stored after it was created, and then failed over in full.
pub(crate) fn failed_over(world: &mut World) -> DynamicObject {
    world.set_ready("emoji-svc", 0);
    stored(mutated(world, None, &two_rules()))
}

pub(crate) fn validation(
    world: &World,
    old: Option<&DynamicObject>,
    new: &DynamicObject,
) -> Validation {
    validate(old, new, &world.view())
}

pub(crate) fn warnings(world: &World, new: &DynamicObject) -> Vec<String> {
    validation(world, None, new).warnings.iter().map(ToString::to_string).collect()
}
