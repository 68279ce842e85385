use super::*;
use crate::admission::test_support::LABEL;
use crate::telemetry::ReviewOutcome;
use serde_json::{Value, json};

fn selector() -> LabelSelector {
    "failover.linkerd.io/controlled-by=linkerd-failover".parse().unwrap()
}

fn labels(managed: bool) -> Value {
    if managed { json!({LABEL: "linkerd-failover"}) } else { json!({}) }
}

fn split(backends: usize, managed: bool) -> Value {
    let backends: Vec<_> =
        (0..backends).map(|i| json!({"service": format!("svc-{i}"), "weight": 1})).collect();
    json!({"metadata": {"name": "emoji", "labels": labels(managed)},
        "spec": {"service": "a", "backends": backends}})
}

fn route(rules: &[usize]) -> Value {
    let refs = |count: &usize| -> Vec<Value> {
        (0..*count).map(|i| json!({"name": format!("svc-{i}"), "port": 80})).collect()
    };
    let rules: Vec<_> = rules.iter().map(|count| json!({"backendRefs": refs(count)})).collect();
    json!({"metadata": {"labels": labels(true)}, "spec": {"rules": rules}})
}

fn review(group: &str, kind: &str, object: &Value, old: &Value) -> Vec<u8> {
    let operation = if old.is_null() { "CREATE" } else { "UPDATE" };
    json!({"kind": "AdmissionReview", "apiVersion": "admission.k8s.io/v1", "request": {
        "uid": "u-1", "kind": {"group": group, "version": "v1", "kind": kind},
        "name": "emoji", "namespace": "emojivoto", "operation": operation,
        "object": object, "oldObject": old}})
    .to_string()
    .into_bytes()
}

fn of_splits(object: &Value, old: &Value) -> Vec<u8> {
    review("split.smi-spec.io", "TrafficSplit", object, old)
}

/// The message of the denial that needs no parsing, if there is one.
fn refused(body: &[u8]) -> Option<String> {
    let answer = size_denial(body, ReviewPath::Validate, &selector())?;
    assert_eq!(answer.outcome, ReviewOutcome::Denied);
    let review: Value = serde_json::from_slice(&answer.review.unwrap()).unwrap();
    let response = &review["response"];
    assert_eq!((&response["uid"], &response["allowed"]), (&json!("u-1"), &json!(false)));
    assert_eq!(response["status"]["code"], 403);
    Some(response["status"]["message"].as_str().unwrap().to_owned())
}

#[test]
fn backends_are_counted_without_reading_them() {
    let counts = |all, largest| BackendCounts { all, largest };
    let body = of_splits(&split(10_000, true), &split(3, true));
    assert_eq!(BackendCounts::of(&body), (counts(10_000, 10_000), counts(3, 3)));
    let body = review("gateway.networking.k8s.io", "HTTPRoute", &route(&[2, 17, 0]), &Value::Null);
    assert_eq!(BackendCounts::of(&body), (counts(19, 17), BackendCounts::default()));
    for odd in [
        json!(null),
        json!(7),
        json!("x"),
        json!(1.5),
        json!(true),
        json!({"a": [1]}),
        json!([null, 7, "x", {}, [], {"backendRefs": 7}, {"backendRefs": {"a": {}}}]),
    ] {
        let object = json!({"metadata": {}, "spec": {"backends": odd, "rules": odd}});
        let (now, _) = BackendCounts::of(&of_splits(&object, &Value::Null));
        assert!(now.all <= 7, "{odd}: {now:?}");
    }
    for body in ["", "{", "[]", "null", "7", r#"{"request":7}"#, r#"{"request":{"object":[]}}"#] {
        assert_eq!(BackendCounts::of(body.as_bytes()), Default::default(), "{body}");
    }
}

#[test]
fn an_object_with_more_than_it_may_hold_is_refused_unread() {
    let message = refused(&of_splits(&split(129, true), &Value::Null)).unwrap();
    assert!(message.contains("TrafficSplit emojivoto/emoji cannot fail over"), "{message}");
    assert!(
        message.contains("spec.backends: found 129 backends, expected at most 128"),
        "{message}"
    );
    let of_routes = |rules: &[usize]| {
        refused(&review("gateway.networking.k8s.io", "HTTPRoute", &route(rules), &Value::Null))
    };
    assert!(of_routes(&[17]).unwrap().contains("at most 16 backends in a rule"));
    assert!(of_routes(&[16; 17]).unwrap().contains("at most 256 backends"));
    assert_eq!(of_routes(&[16; 16]), None);
    assert_eq!(refused(&of_splits(&split(128, true), &Value::Null)), None);
    // A megabyte and more.
    assert!(refused(&of_splits(&split(40_000, true), &Value::Null)).is_some());
}

#[test]
fn one_that_is_stored_already_is_refused_only_where_it_grows() {
    let stored = split(200, true);
    for (object, grows) in
        [(split(200, true), false), (split(199, true), false), (split(201, true), true)]
    {
        assert_eq!(refused(&of_splits(&object, &stored)).is_some(), grows);
    }
    assert!(refused(&of_splits(&stored, &split(200, false))).is_some(), "the label is new");
    assert_eq!(refused(&of_splits(&split(300, false), &stored)), None, "the label goes");
    assert_eq!(refused(&of_splits(&split(300, false), &Value::Null)), None, "nobody's of ours");
    let mut going = split(300, true);
    going["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z");
    assert_eq!(refused(&of_splits(&going, &stored)), None);
}

#[test]
fn the_mutating_webhook_lets_pass_what_the_validator_refuses() {
    let body = of_splits(&split(129, true), &Value::Null);
    let answer = size_denial(&body, ReviewPath::Mutate, &selector()).unwrap();
    assert_eq!(answer.outcome, ReviewOutcome::Allowed);
    let review: Value = serde_json::from_slice(&answer.review.unwrap()).unwrap();
    assert_eq!(review["response"], json!({"uid": "u-1", "allowed": true}));
}
