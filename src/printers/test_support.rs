//! Objects in every state that commands of people show.

use crate::snapshot::Snapshot;
use crate::snapshot::row::ObjectRow;
use crate::snapshot::test_support::{service, snapshot, split, state};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

pub(super) const PRIMARY: &str = "emoji-svc";
pub(super) const FALLBACK: &str = "emoji-svc-west";

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
        named("hurt", split(&[("down-svc", 1), (FALLBACK, 0)], &[("paused", "true")])),
        named(
            "moved",
            split(
                &[(PRIMARY, 0), (FALLBACK, 1)],
                &[("pin", FALLBACK), ("pin-until", "2026-11-26T04:00:00Z")],
            ),
        ),
        json!({"kind": "TrafficSplit", "metadata": {"name": "torn"}, "spec": {}}),
        route(),
    ];
    services.into_iter().flatten().chain(objects).collect()
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
