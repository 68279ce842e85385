use super::row::SetRow;
use super::test_support::*;
use super::*;
use crate::reconciler::traffic_on::TrafficOn;
use serde_json::{Value, json};

/// The row of the split `emoji` of `emoji-svc` and its fallback `emoji-svc-west`, as text.
fn row(manifests: &[Value]) -> String {
    text(&snapshot(manifests))
}

fn text(snapshot: &Snapshot) -> String {
    let each = snapshot.rows().into_iter().map(|row| {
        let sets = row.sets.as_ref().map_err(Vec::len);
        let sets = match sets {
            Err(problems) => return format!("{}: {problems} problems", row.on),
            Ok(sets) => sets,
        };
        let set = |set: &SetRow| {
            let active: Vec<&str> = set.active().collect();
            let next: Vec<String> = set.next.iter().map(NextStep::to_string).collect();
            format!("{} {} [{}]", set.on, active.join("+"), next.join("; "))
        };
        sets.iter().map(set).collect::<Vec<_>>().join(" | ")
    });
    each.collect::<Vec<_>>().join("\n")
}

const PRIMARY: &str = "emoji-svc";
const FALLBACK: &str = "emoji-svc-west";
const ON_PRIMARY: [(&str, u32); 2] = [(PRIMARY, 1), (FALLBACK, 0)];
const ON_FALLBACK: [(&str, u32); 2] = [(PRIMARY, 0), (FALLBACK, 1)];

/// Ready endpoints of the primary and of the fallback, of two each.
fn world(ready: [usize; 2], split: Value) -> Vec<Value> {
    let services = [service(PRIMARY, ready[0], 2), service(FALLBACK, ready[1], 2)];
    services.into_iter().flatten().chain([split]).collect()
}

/// A failover that is recorded to be 30 s old.
fn failed_over(more: Value, annotations: &[(&str, &str)]) -> Value {
    let mut fields = json!({"left": "2026-11-26T02:59:30Z"});
    for (name, value) in more.as_object().unwrap() {
        fields[name] = value.clone();
    }
    let state = state(&[FALLBACK], 30, fields);
    let state = [("state", state.as_str())];
    split(&ON_FALLBACK, &[&state, annotations].concat())
}

#[test]
fn a_row_has_where_the_traffic_is_and_what_it_waits_for() {
    let none = json!({});
    let pending = json!({"pending": {PRIMARY: "2026-11-26T02:59:42Z"}});
    let later = "2026-11-26T04:00:00Z";
    for (case, ready, split, expected) in [
        ("healthy", [2, 2], split(&ON_PRIMARY, &[]), "primary emoji-svc []"),
        (
            "a loss that nobody has acted on",
            [0, 2],
            split(&ON_PRIMARY, &[]),
            "primary emoji-svc [moves to emoji-svc-west now]",
        ),
        ("failed over", [0, 2], failed_over(none.clone(), &[]), "fallback emoji-svc-west []"),
        (
            "a recovery whose delay runs",
            [2, 2],
            failed_over(pending, &[("failback-delay", "60s")]),
            "fallback emoji-svc-west [returns to emoji-svc in 42s]",
        ),
        (
            "a recovery that waits for a person",
            [2, 2],
            failed_over(none.clone(), &[("failback", "manual")]),
            "fallback emoji-svc-west [emoji-svc is back, returns when that is requested]",
        ),
        (
            "nothing is ready",
            [0, 0],
            split(&ON_PRIMARY, &[]),
            "held emoji-svc [waits for a ready endpoint]",
        ),
        (
            "paused",
            [0, 2],
            split(&ON_PRIMARY, &[("paused", "true")]),
            "paused emoji-svc [paused, would move to emoji-svc-west]",
        ),
        (
            "a pause that ends",
            [0, 2],
            split(&ON_PRIMARY, &[("paused", "true"), ("paused-until", later)]),
            "paused emoji-svc [paused until 2026-11-26T04:00:00Z, would move to emoji-svc-west]",
        ),
        (
            "a pause of what would not move",
            [2, 2],
            split(&ON_PRIMARY, &[("paused", "true")]),
            "paused emoji-svc [paused]",
        ),
        (
            "a pause that has ended",
            [0, 2],
            split(&ON_PRIMARY, &[("paused", "true"), ("paused-until", NOW)]),
            "primary emoji-svc [moves to emoji-svc-west now]",
        ),
        (
            "pinned",
            [2, 2],
            split(&ON_FALLBACK, &[("pin", FALLBACK), ("pin-until", later)]),
            "pinned emoji-svc-west [pinned until 2026-11-26T04:00:00Z]",
        ),
        (
            "a pin that is not written yet",
            [2, 2],
            split(&ON_PRIMARY, &[("pin", FALLBACK)]),
            "pinned emoji-svc [moves to emoji-svc-west now; pinned until that is taken off]",
        ),
        (
            "unreadable",
            [2, 2],
            json!({"kind": "TrafficSplit", "metadata": {"name": "emoji"}, "spec": {}}),
            "unreadable: 2 problems",
        ),
    ] {
        assert_eq!(row(&world(ready, split)), expected, "{case}");
    }
}

#[test]
fn a_frozen_cluster_and_a_brake_hold_what_is_due_and_nothing_else() {
    let frozen = json!({"kind": "Namespace", "metadata": {"name": OWN_NAMESPACE,
        "annotations": {"failover.linkerd.io/frozen": "true"}}});
    let mut lost = world([0, 2], split(&ON_PRIMARY, &[]));
    let mut braked = snapshot(&lost);
    braked.braked_since = Some(braked.now.wall);
    let held = "held emoji-svc [the brake holds, would move to emoji-svc-west]";
    assert_eq!(text(&braked), held);
    lost.push(frozen.clone());
    assert_eq!(row(&lost), "held emoji-svc [the cluster is frozen, would move to emoji-svc-west]");
    let mut healthy = world([2, 2], split(&ON_PRIMARY, &[]));
    healthy.push(frozen);
    assert_eq!(row(&healthy), "primary emoji-svc []");
}

#[test]
fn who_froze_the_cluster_is_known_until_the_freeze_ends_though_nothing_is_read_again() {
    let until = "2026-11-26T03:30:00Z";
    let by = json!({"v": 1, "person": "alice", "action": "freeze", "at": NOW, "reason": "an incident",
        "set": {"frozen": "true", "frozen-until": until}});
    let mut lost = world([0, 2], split(&ON_PRIMARY, &[]));
    lost.push(json!({"kind": "Namespace", "metadata": {"name": OWN_NAMESPACE, "annotations": {
        "failover.linkerd.io/frozen": "true", "failover.linkerd.io/frozen-until": until,
        "failover.linkerd.io/changed-by": by.to_string()}}}));
    let mut snapshot = snapshot(&lost);
    let holds = snapshot.cluster_holds(OWN_NAMESPACE);
    assert_eq!(
        holds,
        [format!(
            "the cluster is frozen until {until} by alice: an incident: nothing is written; to end it: linkerd-failover unfreeze"
        )]
    );
    let held = format!("the cluster is frozen until {until}, would move to emoji-svc-west");
    assert_eq!(text(&snapshot), format!("held emoji-svc [{held}]"));
    snapshot.now.wall = until.parse().unwrap();
    assert_eq!(text(&snapshot), "primary emoji-svc [moves to emoji-svc-west now]");
    assert!(snapshot.cluster_holds(OWN_NAMESPACE).is_empty());
}

#[test]
fn a_pause_and_a_pin_that_have_ended_are_over_also_where_health_may_not_be_listed() {
    let on = |object: Value| {
        let mut snapshot = snapshot(&[object]);
        snapshot.index.synced.set(crate::index::resource::WatchedResource::Services, false);
        snapshot.rows()[0].on
    };
    let later = "2026-11-26T04:00:00Z";
    let paused = |until| split(&ON_PRIMARY, &[("paused", "true"), ("paused-until", until)]);
    assert_eq!(on(paused(later)), TrafficOn::Paused);
    assert_eq!(on(paused(NOW)), TrafficOn::Primary);
    let pinned =
        |until| failed_over(json!({"pinned": true}), &[("pin", FALLBACK), ("pin-until", until)]);
    assert_eq!(on(pinned(later)), TrafficOn::Pinned);
    assert_eq!(on(pinned(NOW)), TrafficOn::Fallback);
}

#[test]
fn a_row_has_what_is_recorded_and_the_health_of_each_backend() {
    let snapshot = snapshot(&world([0, 1], failed_over(json!({}), &[])));
    let rows = snapshot.rows();
    let set = &rows[0].sets.as_ref().unwrap()[0];
    assert_eq!(set.since().unwrap().to_string(), "2026-11-26T02:59:30Z");
    assert_eq!(set.why().as_deref(), Some("recorded"));
    assert_eq!(rows[0].decider.as_ref().unwrap().replica.as_ref(), "replica-a");
    let backends: Vec<String> = set
        .backends
        .iter()
        .map(|b| format!("{} tier {}: {}, {:?}", b.name, b.tier, b.health, b.meets_minimum))
        .collect();
    assert_eq!(
        backends,
        [
            "emoji-svc tier 0: 0 of 2 endpoints ready, Some(false)",
            "emoji-svc-west tier 1: 1 of 2 endpoints ready, Some(true)",
        ]
    );
}

#[test]
fn who_changed_an_object_by_a_command_is_shown_while_that_is_still_there() {
    let by = r#"{"v":1,"person":"alice","action":"pause","at":"2026-11-26T02:59:00Z","reason":"game day","set":{"paused":"true","paused-until":null}}"#;
    let row = |annotations: &[(&str, &str)]| {
        let rows = snapshot(&world([2, 2], split(&ON_PRIMARY, annotations))).rows();
        rows[0].changed_by.as_ref().map(ToString::to_string)
    };
    let shown = row(&[("paused", "true"), ("changed-by", by)]);
    assert_eq!(shown.as_deref(), Some("paused by alice: game day"));
    assert_eq!(row(&[("changed-by", by)]), None);
}

#[test]
fn without_the_right_to_list_services_nothing_is_decided_and_where_the_traffic_is_stays_known() {
    let mut snapshot = snapshot(&[failed_over(json!({}), &[])]);
    snapshot.index.synced.set(crate::index::resource::WatchedResource::Services, false);
    let rows = snapshot.rows();
    assert_eq!(rows[0].on, TrafficOn::Fallback);
    let set = &rows[0].sets.as_ref().unwrap()[0];
    assert!(set.decision.is_none() && set.next.is_empty());
    assert_eq!(set.backends[0].health.to_string(), "health not seen yet");
    assert_eq!(set.backends[0].meets_minimum, None);
}

#[test]
fn only_objects_of_the_area_have_rows() {
    let mut snapshot = snapshot(&world([2, 2], split(&ON_PRIMARY, &[])));
    snapshot.area = Area::Namespace("other".to_owned());
    assert!(snapshot.rows().is_empty());
    snapshot.area = Area::Namespace(NAMESPACE.to_owned());
    assert_eq!(snapshot.rows().len(), 1);
}
