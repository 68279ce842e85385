use super::*;
use crate::checks::protection::missing;
use crate::engine::annotations::{PAUSED, PIN};
use crate::printers::test_support::{
    FALLBACK, PRIMARY, failed_over, frozen_world, named, route, world,
};
use crate::snapshot::Snapshot;
use crate::snapshot::test_support::{NAMESPACE, OWN_NAMESPACE, service, settings, snapshot, split};
use serde_json::{Value, json};

fn of(snapshot: &Snapshot, name: &str) -> String {
    let object = snapshot.object_refs().into_iter().find(|o| o.name() == name).unwrap();
    lacking(snapshot, name, &missing(snapshot, object, &settings()))
}

fn lacking(snapshot: &Snapshot, name: &str, missing: &[String]) -> String {
    let row = snapshot.rows().into_iter().find(|row| row.object.name() == name).unwrap();
    let object = &snapshot.objects[&row.object];
    let writers: Vec<_> =
        [PIN, PAUSED].into_iter().filter_map(|a| FieldWriter::of(object, a)).collect();
    let now = snapshot.now.wall;
    let cluster_holds = &snapshot.cluster_holds(OWN_NAMESPACE);
    explain(&Explained { row: &row, writers: &writers, cluster_holds, missing, now })
}

#[test]
fn a_failover_is_explained_by_its_facts_its_rule_and_what_it_waits_for_and_lacks() {
    insta::assert_snapshot!(of(&world().0, "emoji"));
}

#[test]
fn what_a_namespace_asks_for_is_not_missing() {
    let services = [service(PRIMARY, 2, 2), service(FALLBACK, 2, 2)].into_iter().flatten();
    let namespace = json!({"kind": "Namespace", "metadata": {"name": NAMESPACE,
        "annotations": {"failover.linkerd.io/protection": "seamless"}}});
    let object = split(&[(PRIMARY, 1), (FALLBACK, 0)], &[]);
    let all: Vec<Value> = [namespace, object].into_iter().chain(services).collect();
    let text = of(&snapshot(&all), "emoji");
    assert!(
        text.contains("protection seamless by the annotation of its namespace, warm standby on"),
        "{text}"
    );
    assert!(!text.contains("found no warm standby"), "{text}");
    let text = of(&snapshot(&all[1..]), "emoji");
    assert!(text.contains("found no warm standby"), "{text}");
}

#[test]
fn every_state_is_explained() {
    let (snapshot, ..) = world();
    let names = ["calm", "due", "held", "hurt", "moved", "sick", "torn", "warm", "web"];
    let each = names.map(|name| of(&snapshot, name));
    insta::assert_snapshot!(each.join("\n----\n"));
}

#[test]
fn a_frozen_cluster_is_explained_with_who_froze_it_and_how_to_end_that() {
    let each = ["due", "calm"].map(|name| of(&frozen_world(), name));
    insta::assert_snapshot!(each.join("\n----\n"));
}

#[test]
fn a_pause_and_a_pin_that_have_ended_are_said_to_be_over() {
    let past = "2026-11-26T03:00:00Z";
    let backends = [(PRIMARY, 1), (FALLBACK, 0)];
    let paused = split(&backends, &[("paused", "true"), ("paused-until", past)]);
    let text = of(&snapshot(&[paused]), "emoji");
    assert!(text.starts_with("TrafficSplit emojivoto/emoji: "), "{text}");
    assert!(!text.contains(": paused\n") && !text.contains("nothing is written"), "{text}");
    assert!(text.contains(&format!("  - paused until {past}, which is over\n")), "{text}");
    let pinned = split(&backends, &[("pin", FALLBACK), ("pin-until", past)]);
    let text = of(&snapshot(&[pinned]), "emoji");
    let over = format!("  - pinned to emoji-svc-west until {past}, which is over\n");
    assert!(text.contains(&over) && !text.contains("a pin wins"), "{text}");
}

#[test]
fn who_pinned_is_named_where_the_api_server_knows() {
    let mut object = named(
        "moved",
        failed_over(["emoji-svc", "emoji-svc-west"], json!({}), &[("pin", "emoji-svc-west")]),
    );
    object["metadata"]["managedFields"] = json!([{
        "manager": "kubectl-annotate", "operation": "Update", "time": "2026-11-26T02:50:00Z",
        "fieldsV1": {"f:metadata": {"f:annotations": {"f:failover.linkerd.io/pin": {}}}},
    }]);
    let text = of(&snapshot(&[object]), "moved");
    assert!(
        text.contains(
            "  - failover.linkerd.io/pin=emoji-svc-west, written by kubectl-annotate, 10m ago\n"
        ),
        "{text}"
    );
}

#[test]
fn a_seamless_route_is_explained_with_the_requests_that_are_repeated() {
    let mut object: Value = route();
    object["metadata"]["annotations"] = json!({"failover.linkerd.io/protection": "seamless"});
    let services = [service("web-svc", 1, 1), service("web-svc-west", 1, 1)].into_iter().flatten();
    let snapshot = snapshot(&services.chain([object]).collect::<Vec<_>>());
    let text = lacking(&snapshot, "web", &[]);
    assert!(
        text.ends_with(&format!(
            "\nProtection of requests: complete.\nLinkerd repeats its requests: {IDEMPOTENCE}.\n"
        )),
        "{text}"
    );
}
