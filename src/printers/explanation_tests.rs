use super::*;
use crate::engine::annotations::{PAUSED, PIN};
use crate::printers::test_support::{failed_over, named, route, world};
use crate::snapshot::Snapshot;
use crate::snapshot::test_support::{service, snapshot};
use serde_json::{Value, json};

fn of(snapshot: &Snapshot, name: &str, missing: &[String]) -> String {
    let row = snapshot.rows().into_iter().find(|row| row.object.name() == name).unwrap();
    let object = &snapshot.objects[&row.object];
    let writers: Vec<_> =
        [PIN, PAUSED].into_iter().filter_map(|a| FieldWriter::of(object, a)).collect();
    let now = snapshot.now.wall;
    explain(&Explained { row: &row, writers: &writers, missing, now })
}

#[test]
fn a_failover_is_explained_by_its_facts_its_rule_and_what_it_waits_for() {
    let missing =
        ["metadata.annotations[failover.linkerd.io/warm-standby]: found no warm standby"
            .to_owned()];
    insta::assert_snapshot!(of(&world().0, "emoji", &missing));
}

#[test]
fn every_state_is_explained() {
    let (snapshot, ..) = world();
    let names = ["calm", "due", "held", "hurt", "moved", "torn", "web"];
    let each = names.map(|name| of(&snapshot, name, &[]));
    insta::assert_snapshot!(each.join("\n----\n"));
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
    let text = of(&snapshot(&[object]), "moved", &[]);
    assert!(
        text.contains(
            "  - failover.linkerd.io/pin=emoji-svc-west, written by kubectl-annotate, 10m ago\n"
        ),
        "{text}"
    );
}

#[test]
fn of_a_seamless_route_it_is_said_that_requests_are_repeated() {
    let mut object: Value = route();
    object["metadata"]["annotations"] = json!({"failover.linkerd.io/protection": "seamless"});
    let services = [service("web-svc", 1, 1), service("web-svc-west", 1, 1)].into_iter().flatten();
    let snapshot = snapshot(&services.chain([object]).collect::<Vec<_>>());
    let text = of(&snapshot, "web", &[]);
    assert!(text.ends_with(&format!("\nFor no request to be lost nothing is missing.\nLinkerd repeats its requests: {IDEMPOTENCE}.\n")), "{text}");
}
