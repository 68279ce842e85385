use super::*;
use crate::admission::test_support::{World, mutate, split, stored, validate};
use crate::engine::annotations;
use kube::ResourceExt;
use kube::core::DynamicObject;
use serde_json::{Value, json};

fn world() -> World {
    World::with(&[("emoji-svc", 1), ("emoji-svc-west", 1)]).missing(&["emoji-svc-wset", "nowhere"])
}

fn good() -> DynamicObject {
    split(&[("emoji-svc", json!(1)), ("emoji-svc-west", json!(0))], &[])
}

fn errors(old: Option<&DynamicObject>, new: &DynamicObject) -> Vec<String> {
    let validation = validate(old, new, &world().view());
    validation.errors.iter().map(ToString::to_string).collect()
}

#[test]
fn a_good_object_is_allowed_without_a_warning() {
    assert_eq!(validate(None, &good(), &world().view()), Validation::default());
}

/// Each rule, with its exact message.
#[test]
fn what_failover_cannot_work_with_is_refused() {
    type Case<'a> = (&'a str, &'a [(&'a str, Value)], &'a [(&'a str, &'a str)]);
    let cases: [Case<'_>; 7] = [
        ("no backends", &[], &[]),
        ("twice", &[("emoji-svc", json!(1)), ("emoji-svc", json!(0))], &[]),
        ("weights", &[("emoji-svc", json!(-1)), ("emoji-svc-west", json!(0.5))], &[]),
        ("too large", &[("emoji-svc", json!(429_497)), ("emoji-svc-west", json!("500m"))], &[]),
        (
            "primary",
            &[("emoji-svc", json!(1)), ("emoji-svc-west", json!(0))],
            &[(annotations::PRIMARY_SERVICE, "emoji-svc-wset")],
        ),
        ("typo", &[("emoji-svc", json!(1)), ("emoji-svc-wset", json!(0))], &[]),
        ("stranger", &[("emoji-svc", json!(1)), ("nowhere", json!(0))], &[]),
    ];
    let mut messages = String::new();
    for (name, backends, annotations) in cases {
        messages.push_str(&format!("{name}\n"));
        for error in errors(None, &split(backends, annotations)) {
            messages.push_str(&format!("  {error}\n"));
        }
    }
    insta::assert_snapshot!(messages, @r#"
    no backends
      spec.backends: found no backends, expected the primary and at least one fallback
    twice
      spec.backends[1].service: found "emoji-svc", which spec.backends[0] has already, expected each backend once; remove one of the two, or name another Service
    weights
      spec.backends[0].weight: found -1, expected a whole number from 0 to 429496
      spec.backends[1].weight: found 0.5, expected a whole number from 0 to 429496
    too large
      spec.backends[0].weight: found 429497, expected a whole number from 0 to 429496
      spec.backends[1].weight: found "500m", expected a whole number from 0 to 429496
    primary
      metadata.annotations[failover.linkerd.io/primary-service]: found "emoji-svc-wset", expected one of the backends (emoji-svc, emoji-svc-west); did you mean emoji-svc-west?
    typo
      spec.backends[1].service: found "emoji-svc-wset", which does not exist, expected a Service in namespace emojivoto; did you mean emoji-svc-west?
    stranger
      spec.backends[1].service: found "nowhere", which does not exist, expected a Service in namespace emojivoto; create it first, or in the same file before this object
    "#);
}

#[test]
fn a_missing_apex_is_refused() {
    let mut object = good();
    object.data["spec"]["service"] = json!("nowhere");
    assert!(errors(None, &object)[0].starts_with("spec.service: found \"nowhere\""));
}

#[test]
fn a_service_that_could_not_be_looked_up_is_a_warning() {
    let world = World::with(&[("emoji-svc", 1)]);
    let validation = validate(None, &good(), &world.view());
    assert!(validation.errors.is_empty());
    assert!(validation.warnings[0].to_string().contains("could not be looked up"));
}

#[test]
fn a_fix_is_not_blocked_by_what_was_wrong_before() {
    let bad =
        split(&[("emoji-svc", json!(1)), ("nowhere", json!(0)), ("emoji-svc", json!(0))], &[]);
    let fixed_in_part = split(&[("emoji-svc", json!(1)), ("nowhere", json!(0))], &[]);
    let validation = validate(Some(&stored(bad)), &fixed_in_part, &world().view());
    assert!(validation.errors.is_empty(), "{:?}", validation.errors);
    assert_eq!(validation.warnings.len(), 1);
}

/// The message of a problem may name other backends, which an edit changes.
#[test]
fn a_fault_stays_the_same_when_its_neighbours_change() {
    let north = [("emoji-svc", json!(1)), ("emoji-svc-west", json!(0))];
    let stranger = [(annotations::PIN, "emoji-svc-north")];
    let bad = stored(split(&north, &stranger));
    let added = split(
        &[("emoji-svc", json!(1)), ("emoji-svc-west", json!(0)), ("third", json!(0))],
        &stranger,
    );
    let mut world = world();
    world.set_ready("third", 1);
    let validation = validate(Some(&bad), &added, &world.view());
    assert!(validation.errors.is_empty(), "{validation:?}");
    // The same message about another backend is another problem.
    let weight = [("emoji-svc", json!(1)), ("emoji-svc-west", json!(-1))];
    let both = [("emoji-svc", json!(-1)), ("emoji-svc-west", json!(-1))];
    let validation =
        validate(Some(&stored(split(&weight, &[]))), &split(&both, &[]), &world.view());
    assert_eq!(validation.errors.len(), 1, "{validation:?}");
}

#[test]
fn what_becomes_wrong_is_refused() {
    let new = split(&[("emoji-svc", json!(1)), ("nowhere", json!(0))], &[]);
    assert_eq!(errors(Some(&stored(good())), &new).len(), 1);
}

/// The good object as it is stored while the primary is down.
fn failed_over() -> DynamicObject {
    let mut down = world();
    down.set_ready("emoji-svc", 0);
    let mut created = serde_json::to_value(good()).unwrap();
    let mutation = mutate(None, &good(), &down.view());
    json_patch::patch(&mut created, &mutation.edit.into_patch()).unwrap();
    stored(serde_json::from_value(created).unwrap())
}

#[test]
fn an_update_that_would_undo_a_failover_is_refused() {
    let old = failed_over();
    let down = World::with(&[("emoji-svc", 0), ("emoji-svc-west", 1)]);
    let refused = validate(Some(&old), &stored(good()), &down.view()).errors;
    let messages: Vec<String> = refused.iter().map(ToString::to_string).collect();
    assert!(
        messages[0].contains("1 for emoji-svc, expected 0 while traffic is on emoji-svc-west"),
        "{messages:?}"
    );
    // It is ready again: nobody is hurt, and the controller puts it right.
    let validation = validate(Some(&old), &stored(good()), &world().view());
    assert_eq!(validation.errors, []);
    assert!(
        validation.warnings[0].to_string().contains("1 for emoji-svc, expected 0"),
        "{validation:?}"
    );
    // No active backend remains: the weights of the author are better.
    let replaced = split(&[("emoji-svc", json!(1))], &[]);
    assert!(errors(Some(&old), &replaced).is_empty());
}

#[test]
fn an_apex_that_another_split_has_is_a_warning() {
    let mut world = world();
    let other = stored(good());
    world.manage("older", &other);
    let validation = validate(None, &good(), &world.view());
    assert!(validation.warnings[0].to_string().contains("the apex of older too"), "{validation:?}");
}

#[test]
fn unmanaged_and_deleted_objects_are_not_validated() {
    let mut unmanaged = split(&[], &[]);
    unmanaged.labels_mut().clear();
    let mut deleted = split(&[], &[]);
    deleted.metadata.deletion_timestamp =
        Some(serde_json::from_value(json!("2026-01-01T00:00:00Z")).unwrap());
    for object in [unmanaged, deleted] {
        assert_eq!(validate(None, &object, &world().view()), Validation::default());
    }
}

/// Warnings that depend on the time of day or on what is ready, with the exact messages.
#[test]
fn what_may_not_have_the_intended_effect_is_warned_about_and_not_denied() {
    let mut world = World::with(&[("emoji-svc", 1), ("emoji-svc-west", 0)]);
    world.now = crate::engine::Now::at("2026-11-21T03:00:00Z".parse().unwrap());
    let (pin, until) = (annotations::PIN, annotations::PIN_UNTIL);
    let (asked, failback) = (annotations::FAILBACK_REQUESTED, annotations::FAILBACK);
    let cases: [(&str, &[(&str, &str)]); 7] = [
        ("pinned to what is ready", &[(pin, "emoji-svc")]),
        ("pinned to what is not", &[(pin, "emoji-svc-west")]),
        ("for a while", &[(pin, "emoji-svc"), (until, "2026-11-21T04:00:00Z")]),
        ("too late", &[(pin, "emoji-svc-west"), (until, "2026-11-21T02:59:59Z")]),
        ("asked", &[(failback, "manual"), (asked, "2026-11-21T02:00:00Z")]),
        ("asked for later", &[(failback, "manual"), (asked, "2026-11-21T05:00:00Z")]),
        ("asked in vain", &[(asked, "2026-11-21T02:00:00Z")]),
    ];
    let backends = [("emoji-svc", json!(1)), ("emoji-svc-west", json!(0))];
    let mut messages = String::new();
    for (name, annotations) in cases {
        let validation = validate(None, &split(&backends, annotations), &world.view());
        assert!(validation.errors.is_empty(), "{name}: {validation:?}");
        messages.push_str(&format!("{name}\n"));
        for warning in validation.warnings {
            messages.push_str(&format!("  {warning}\n"));
        }
    }
    insta::assert_snapshot!(messages, @r"
    pinned to what is ready
    pinned to what is not
      metadata.annotations[failover.linkerd.io/pin]: found emoji-svc-west (no endpoints), expected a backend with ready endpoints; a pin wins over health, so callers will get errors; remove failover.linkerd.io/pin to let health decide
    for a while
    too late
      metadata.annotations[failover.linkerd.io/pin-until]: found 2026-11-21T02:59:59Z, which is past, expected a time after now, 2026-11-21T03:00:00Z; the pin has ended: health decides
    asked
    asked for later
      metadata.annotations[failover.linkerd.io/failback-requested]: found 2026-11-21T05:00:00Z, which is to come, expected a time until now, 2026-11-21T03:00:00Z; traffic returns then, if the primary is ready
    asked in vain
      metadata.annotations[failover.linkerd.io/failback-requested]: found a request, expected failover.linkerd.io/failback: manual beside it; without, traffic returns by itself
    ");
}

#[test]
fn while_paused_weights_may_be_put_where_a_failover_took_them_away() {
    let old = failed_over();
    let paused = stored(split(
        &[("emoji-svc", json!(1)), ("emoji-svc-west", json!(0))],
        &[(annotations::PAUSED, "true")],
    ));
    assert!(errors(Some(&old), &paused).is_empty());
}
