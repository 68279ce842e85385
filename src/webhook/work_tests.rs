//! The work of a review grows with an object, and not with its square; an object is parsed once.

use crate::admission::test_support::{World, mutate, split, stored, validate};
use crate::engine::annotations;
use crate::engine::work::{parses, steps};
use crate::kinds::Edit;
use kube::ResourceExt;
use kube::core::DynamicObject;
use serde_json::json;

/// A stored split with so many backends, half of which do not exist.
fn huge(backends: usize) -> (DynamicObject, World) {
    let names: Vec<String> = (0..backends).map(|i| format!("svc-{i}")).collect();
    let listed: Vec<_> = names.iter().map(|name| (name.as_str(), json!(1))).collect();
    let mut world = World::with(&[("emoji-svc", 1)]);
    for name in names.iter().step_by(2) {
        world.service(name, json!({"spec": {"ports": [{"name": "grpc", "port": 8080}]}}));
    }
    let missing: Vec<&str> = names.iter().skip(1).step_by(2).map(String::as_str).collect();
    (stored(split(&listed, &[])), world.missing(&missing))
}

#[test]
fn a_stored_split_of_10_000_backends_costs_as_much_work_for_each_as_one_of_1_000() {
    let work = |backends: usize| {
        let (old, world) = huge(backends);
        let mut new = old.clone();
        new.annotations_mut().insert(annotations::FAILOVER_DELAY.into(), "3s".into());
        let mut released = old.clone();
        released.labels_mut().clear();
        let (steps, _) = steps(|| {
            for new in [&new, &released] {
                let mutation = mutate(Some(&old), new, &world.view());
                let after = patched(new, mutation.edit);
                let validation = validate(Some(&old), &after, &world.view());
                assert_eq!(validation.errors, [], "it does not grow");
            }
        });
        steps
    };
    let (small, large) = (work(1_000), work(10_000));
    assert!(large <= small * 13, "{small} steps for 1,000, {large} for 10,000");
}

#[test]
fn a_split_that_grows_beyond_what_it_may_hold_is_refused_and_a_stored_one_is_warned_about() {
    let (old, world) = huge(200);
    let (larger, _) = huge(300);
    let errors = validate(Some(&old), &larger, &world.view()).errors;
    assert!(errors.iter().any(|e| e.to_string().contains("300 backends")), "{errors:?}");
    let (new, world) = huge(129);
    let errors = validate(None, &new, &world.view()).errors;
    assert!(errors[0].to_string().contains("expected at most 128 backends"), "{}", errors[0]);
    let warnings = validate(Some(&old), &old, &world.view()).warnings;
    assert!(warnings.iter().any(|w| w.to_string().contains("200 backends")), "{warnings:?}");
}

#[test]
fn tiers_and_our_own_annotations_have_bounds_and_those_of_others_have_none() {
    let names: Vec<String> = (0..40).map(|i| format!("svc-{i}")).collect();
    let backends: Vec<_> = names.iter().map(|name| (name.as_str(), json!(1))).collect();
    let services: Vec<_> = names.iter().map(|name| (name.as_str(), 1)).collect();
    let mut world = World::with(&services);
    world.set_ready("emoji-svc", 1);
    let errors = |annotation: &str, value: &str| {
        let object = split(&backends, &[(annotation, value)]);
        let errors = validate(None, &object, &world.view()).errors;
        errors.iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    let order = |count: usize| names[1..=count].join(",");
    assert_eq!(errors(annotations::FALLBACK_ORDER, &order(30)), [""; 0]);
    let found = errors(annotations::FALLBACK_ORDER, &order(31));
    assert!(found[0].contains("found 33 tiers, expected at most 32 tiers"), "{found:?}");
    assert_eq!(errors("example.com/note", &"x".repeat(100_000)), [""; 0]);
    let found = errors(annotations::PIN, &"x,".repeat(50_000)).join("\n");
    assert!(found.contains("100000 bytes, expected at most 65536 bytes"), "{found}");
}

#[test]
fn a_review_parses_each_of_its_objects_once() {
    let world = World::with(&[("emoji-svc", 0), ("emoji-svc-west", 1)]);
    let sent = split(&[("emoji-svc", json!(1)), ("emoji-svc-west", json!(0))], &[]);
    let failed_over = patched(&sent, mutate(None, &sent, &world.view()).edit);
    let old = stored(failed_over);
    let mut edited = old.clone();
    edited.annotations_mut().insert(annotations::FAILOVER_DELAY.into(), "3s".into());
    let mut released = old.clone();
    released.labels_mut().clear();
    let mut applied = edited.clone();
    let manifest = serde_json::to_string(&sent).unwrap();
    applied.annotations_mut().insert(annotations::LAST_APPLIED.into(), manifest);

    let mutating = |old, new| parses(|| mutate(old, new, &world.view())).0;
    assert_eq!(mutating(None, &sent), 1);
    assert_eq!(mutating(Some(&old), &edited), 2);
    assert_eq!(mutating(Some(&old), &released), 2);
    assert_eq!(mutating(Some(&old), &applied), 3, "and the manifest in its annotation");
    let validating = |old, new| parses(|| validate(old, new, &world.view())).0;
    assert_eq!(validating(None, &sent), 1);
    assert_eq!(validating(Some(&old), &edited), 2);
    assert_eq!(validating(Some(&old), &applied), 2);
}

fn patched(object: &DynamicObject, edit: Edit) -> DynamicObject {
    let mut value = serde_json::to_value(object).unwrap();
    json_patch::patch(&mut value, &edit.into_patch()).unwrap();
    serde_json::from_value(value).unwrap()
}
