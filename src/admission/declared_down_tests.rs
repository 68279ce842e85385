use super::*;
use crate::admission::test_support::{NAMESPACE, World, split, stored};
use crate::index::synced::Synced;
use serde_json::json;

fn at(second: i64) -> Now {
    Now::at(Timestamp::from_second(second).unwrap())
}

/// Splits `emoji` of emoji-svc, which is their apex too, and of emoji-svc-west; and web-svc.
fn world() -> World {
    let mut world = World::with(&[("emoji-svc", 1), ("emoji-svc-west", 1), ("web-svc", 1)]);
    let object = stored(split(&[("emoji-svc", json!(1)), ("emoji-svc-west", json!(0))], &[]));
    world.manage("emoji", &object);
    world
}

/// What is answered to this `down-until` a minute after the start of the epoch, errors first.
fn answered(world: &World, service: &str, until: &str) -> Vec<String> {
    let annotations = BTreeMap::from([(DOWN_UNTIL.to_owned(), until.to_owned())]);
    let service = ObjectKey::new(NAMESPACE, service);
    let Validation { errors, warnings } = problems(&service, &annotations, &world.index, at(60));
    let errors = errors.iter().map(|error| format!("error: {error}"));
    errors.chain(warnings.iter().map(ToString::to_string)).collect()
}

const IN_30_MIN: &str = "1970-01-01T00:31:00Z";

#[test]
fn a_value_that_cannot_be_read_is_an_error_and_everything_else_at_most_a_warning() {
    let world = world();
    let answered = |service: &str, until: &str| answered(&world, service, until).join("\n");
    for service in ["emoji-svc", "emoji-svc-west"] {
        assert_eq!(answered(service, IN_30_MIN), "", "{service}");
    }
    insta::assert_snapshot!(answered("emoji-svc", "in 30 minutes"), @r#"error: metadata.annotations[failover.linkerd.io/down-until]: found "in 30 minutes", expected an RFC 3339 time such as 2026-01-31T14:30:00Z; kubectl annotate --overwrite … failover.linkerd.io/down-until=$(date -u -d +30min +%FT%TZ) sets one"#);
    insta::assert_snapshot!(answered("emoji-svc", "1970-01-01T00:01:00Z"), @"metadata.annotations[failover.linkerd.io/down-until]: found 1970-01-01T00:01:00Z, expected a time that is still to come; it is 1970-01-01T00:01:00Z now: this has no effect");
    insta::assert_snapshot!(answered("emoji-svc", "1971-01-01T00:00:00Z"), @"metadata.annotations[failover.linkerd.io/down-until]: found 1971-01-01T00:00:00Z, expected a time within 168h; it is 1970-01-01T00:01:00Z now: the Service counts as down until then");
}

#[test]
fn a_service_that_is_no_backend_of_any_object_moves_nothing_and_the_answer_reports_it() {
    let mut world = world();
    let backends = [("web-svc-east", json!(1)), ("web-svc-west", json!(0))];
    let mut apex_only = stored(split(&backends, &[]));
    apex_only.data["spec"]["service"] = json!("web-svc");
    for _ in 0..2 {
        insta::allow_duplicates! {
            insta::assert_snapshot!(answered(&world, "web-svc", IN_30_MIN).join("\n"), @"metadata.annotations[failover.linkerd.io/down-until]: found Service web-svc, which no failover object has among its backends, expected a primary or a fallback of a failover object; nothing moves");
        }
        world.manage("web", &apex_only);
    }
    world.index.synced = Synced::default();
    assert!(answered(&world, "web-svc", IN_30_MIN).is_empty(), "the objects are not known yet");
}

#[test]
fn where_no_other_backend_is_ready_traffic_stays_and_the_objects_are_named() {
    let mut world = world();
    world.set_ready("emoji-svc-west", 0);
    insta::assert_snapshot!(answered(&world, "emoji-svc", IN_30_MIN).join("\n"), @"metadata.annotations[failover.linkerd.io/down-until]: found Service emoji-svc, expected another ready backend in each object that has it; none is ready in TrafficSplit emoji (emoji-svc-west: no endpoints): traffic stays on it until one is");
    assert!(answered(&world, "emoji-svc-west", IN_30_MIN).is_empty(), "nothing stays on it");
    let both = stored(split(&[("emoji-svc", json!(1)), ("web-svc", json!(0))], &[]));
    world.manage("other", &both);
    let warned = answered(&world, "emoji-svc", IN_30_MIN).join("\n");
    assert!(!warned.contains("other ("), "{warned}");
    let alone = stored(split(&[("emoji-svc", json!(1))], &[]));
    for i in 0..6 {
        world.manage(&format!("more-{i}"), &alone);
    }
    let warned = answered(&world, "emoji-svc", IN_30_MIN).join("\n");
    assert!(warned.contains("TrafficSplit more-0 (it has no other backend)"), "{warned}");
    assert!(warned.contains(" and 2 more: traffic stays"), "{warned}");
}
