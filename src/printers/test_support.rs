//! Objects in every state that commands of people show.

use crate::snapshot::Snapshot;
use crate::snapshot::row::ObjectRow;
use crate::snapshot::test_support::{OWN_NAMESPACE, service, snapshot, split, state};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

pub(super) const PRIMARY: &str = "emoji-svc";
pub(super) const FALLBACK: &str = "emoji-svc-west";
const LATER: &str = "2026-11-26T04:00:00Z";

/// The split with another name.
pub(super) fn named(name: &str, mut object: Value) -> Value {
    object["metadata"]["name"] = json!(name);
    object
}

/// A split of these backends on its fallback for 30 s, with more of its state and its annotations.
pub(super) fn failed_over(
    [primary, fallback]: [&str; 2],
    more: Value,
    annotations: &[(&str, &str)],
) -> Value {
    let mut fields = json!({"left": "2026-11-26T02:59:30Z"});
    for (name, value) in more.as_object().into_iter().flatten() {
        fields[name] = value.clone();
    }
    fields["why"] = json!(format!("{primary}: no endpoints"));
    let state = state(&[fallback], 30, fields);
    split(&[(primary, 0), (fallback, 1)], &[&[("state", state.as_str())], annotations].concat())
}

/// A split with warm standby, on its primary.
fn warm() -> Value {
    let authored = json!({"v": 1, "sets": {"": {PRIMARY: 1, FALLBACK: 0}}}).to_string();
    let state = state(&[PRIMARY], 3600, json!({"why": "emoji-svc: 2 of 2 endpoints ready"}));
    let annotations =
        [("warm-standby", "true"), ("authored-weights", &authored), ("state", &state)];
    named("warm", split(&[(PRIMARY, 1000), (FALLBACK, 1)], &annotations))
}

/// A route with two rules, of which the second is on its fallback.
pub(super) fn route() -> Value {
    let backend = |name: &str, weight: u32| json!({"name": name, "port": 80, "weight": weight});
    let parent = json!({"group": "core", "kind": "Service", "name": "web-svc", "port": 80});
    json!({"apiVersion": "gateway.networking.k8s.io/v1", "kind": "HTTPRoute",
    "metadata": {"name": "web", "uid": "r",
            "annotations": {"failover.linkerd.io/primary-service": "web-svc,down-svc"},
        "labels": {"failover.linkerd.io/controlled-by": "linkerd-failover"}},
    "spec": {"parentRefs": [parent], "rules": [
        {"name": "api", "backendRefs": [backend("web-svc", 1), backend("web-svc-west", 0)]},
        {"backendRefs": [backend("down-svc", 0), backend("web-svc-west", 1)]},
    ]}})
}

const PAUSED_BY_ALICE: &str = r#"{"v":1,"person":"alice","action":"pause","at":"2026-11-26T02:56:55Z","reason":"a release","set":{"paused":"true","paused-until":"2026-11-26T04:00:00Z"}}"#;
const PINNED_BY_BOB: &str = r#"{"v":1,"person":"system:serviceaccount:ci:bob","action":"pin","at":"2026-11-26T02:00:00Z","reason":"drain of node-3","set":{"pin":"emoji-svc-west","pin-until":"2026-11-26T04:00:00Z"}}"#;

fn paused_by_alice() -> [(&'static str, &'static str); 3] {
    [("paused", "true"), ("paused-until", LATER), ("changed-by", PAUSED_BY_ALICE)]
}

fn pinned_by_bob() -> [(&'static str, &'static str); 3] {
    [("pin", FALLBACK), ("pin-until", LATER), ("changed-by", PINNED_BY_BOB)]
}

/// The program's namespace, while carol has frozen the cluster.
pub(super) fn frozen_by_carol() -> Value {
    let by = r#"{"v":1,"person":"carol","action":"freeze","at":"2026-11-26T02:59:30Z","reason":"an incident","set":{"frozen":"true","frozen-until":"2026-11-26T04:00:00Z"}}"#;
    json!({"kind": "Namespace", "metadata": {"name": OWN_NAMESPACE, "annotations": {
        "failover.linkerd.io/frozen": "true",
        "failover.linkerd.io/frozen-until": LATER,
        "failover.linkerd.io/changed-by": by,
    }}})
}

/// Services, and an object in every state.
pub(super) fn manifests() -> Vec<Value> {
    let pending = json!({"pending": {PRIMARY: "2026-11-26T02:59:42Z"}});
    let services = [
        service(PRIMARY, 2, 2),
        service(FALLBACK, 2, 2),
        service("web-svc", 1, 3),
        service("web-svc-west", 1, 1),
        service("down-svc", 0, 2),
        service("down-svc-west", 0, 0),
    ];
    let objects = [
        failed_over([PRIMARY, FALLBACK], pending, &[("failback-delay", "60s")]),
        named("calm", split(&[(PRIMARY, 1), (FALLBACK, 0)], &[])),
        named("due", split(&[("down-svc", 1), (FALLBACK, 0)], &[])),
        named("held", split(&[("down-svc", 1), ("down-svc-west", 0)], &[])),
        named("hurt", split(&[("down-svc", 1), (FALLBACK, 0)], &paused_by_alice())),
        named("moved", split(&[(PRIMARY, 0), (FALLBACK, 1)], &pinned_by_bob())),
        named("sick", failed_over(["sick-svc", FALLBACK], json!({}), &[])),
        json!({"kind": "TrafficSplit", "metadata": {"name": "torn"}, "spec": {}}),
        warm(),
        route(),
    ];
    let mut sick = service("sick-svc", 2, 2);
    sick[0]["metadata"]["annotations"] = json!({
        "failover.linkerd.io/down-until": LATER,
        "failover.linkerd.io/down-reason": "wrong answers",
    });
    let services = services.into_iter().chain([sick]);
    services.into_iter().flatten().chain(objects).collect()
}

/// All of them in a cluster that is frozen.
pub(super) fn frozen_world() -> Snapshot {
    let manifests = manifests().into_iter().chain([frozen_by_carol()]);
    snapshot(&manifests.collect::<Vec<_>>())
}

/// All of them, and the time.
pub(super) fn world() -> (Snapshot, Vec<ObjectRow>, Timestamp) {
    let snapshot = snapshot(&manifests());
    let (rows, now) = (snapshot.rows(), snapshot.now.wall);
    (snapshot, rows, now)
}

/// Rows as they are so many seconds later.
pub(super) fn later(mut snapshot: Snapshot, seconds: i64) -> (Vec<ObjectRow>, Timestamp) {
    let by = SignedDuration::from_secs(seconds);
    snapshot.now.wall += by;
    snapshot.now.steady = snapshot.now.steady.saturating_add(by);
    (snapshot.rows(), snapshot.now.wall)
}
