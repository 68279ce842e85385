//! Objects that were stored before the webhook was there: edits of them go on, and what is new is
//! read strictly.

use crate::admission::test_support::{World, mutate, split, stored, validate};
use crate::engine::annotations;
use crate::kinds::traffic_split;
use kube::ResourceExt;
use kube::core::DynamicObject;
use serde_json::{Value, json};

const FOREIGN: &str = "web.other.svc.cluster.local";

fn world(primary: usize) -> World {
    World::with(&[("emoji-svc", primary), ("emoji-svc-west", 1)])
}

fn with_fractions() -> DynamicObject {
    let backends = [("emoji-svc", json!("900m")), ("emoji-svc-west", json!("0"))];
    stored(split(&backends, &[]))
}

fn mutated(old: &DynamicObject, new: &DynamicObject, world: &World) -> DynamicObject {
    let patch = mutate(Some(old), new, &world.view()).edit.into_patch();
    let mut value = serde_json::to_value(new).unwrap();
    json_patch::patch(&mut value, &patch).unwrap();
    serde_json::from_value(value).unwrap()
}

fn weights(object: &DynamicObject) -> Vec<Value> {
    let backends = object.data["spec"]["backends"].as_array().unwrap();
    backends.iter().map(|backend| backend["weight"].clone()).collect()
}

fn errors(old: Option<&DynamicObject>, new: &DynamicObject, world: &World) -> Vec<String> {
    validate(old, new, &world.view()).errors.iter().map(ToString::to_string).collect()
}

/// The object after the failover.
fn failed_over(mut object: DynamicObject) -> DynamicObject {
    // An edit of anything while the primary is down, with the flip already made.
    for (i, weight) in [0, 1].iter().enumerate() {
        object.data["spec"]["backends"][i]["weight"] = json!(weight);
    }
    let record = r#"{"v":1,"sets":{"":{"emoji-svc":1,"emoji-svc-west":0}},"written":{"":{"emoji-svc":["900m"]}}}"#;
    let state = r#"{"v":1,"sets":{"":{"active":["emoji-svc-west"],"since":"1970-01-01T00:00:00Z","weights":{"emoji-svc":0,"emoji-svc-west":1}}}}"#;
    let annotations = object.annotations_mut();
    annotations.insert(annotations::AUTHORED_WEIGHTS.into(), record.into());
    annotations.insert(annotations::STATE.into(), state.into());
    object
}

#[test]
fn what_is_wrong_is_refused_in_a_new_object() {
    for (name, weight) in [
        ("emoji-svc-west", json!("900m")),
        ("emoji-svc-west", json!(0.5)),
        ("emoji-svc-west", json!(-1)),
        ("emoji-svc", json!(0)),
        (FOREIGN, json!(0)),
    ] {
        let new = split(&[("emoji-svc", json!(1)), (name, weight.clone())], &[]);
        assert_eq!(errors(None, &new, &world(1)).len(), 1, "{name} {weight}");
        assert!(mutate(None, &new, &world(1).view()).edit.is_empty(), "the validator must see it");
    }
}

#[test]
fn an_edit_of_a_stored_object_is_allowed_and_keeps_its_weights() {
    let old = with_fractions();
    let mut new = old.clone();
    new.annotations_mut().insert(annotations::FAILOVER_DELAY.into(), "3s".into());
    let after = mutated(&old, &new, &world(1));
    assert_eq!(weights(&after), [json!("900m"), json!("0")]);
    assert_eq!(errors(Some(&old), &after, &world(1)), [""; 0]);
    let record = traffic_split::read(&after).record().cloned().unwrap();
    assert_eq!(record.written[""]["emoji-svc"], [json!("900m")]);
    let again = mutated(&old, &after, &world(1));
    assert_eq!(again, after, "mutating twice is mutating once");
}

#[test]
fn its_manifest_applied_again_does_not_undo_a_failover() {
    let old = failed_over(with_fractions());
    let applied = with_fractions();
    let after = mutated(&old, &applied, &world(0));
    assert_eq!(weights(&after), [json!(0), json!(1)]);
    assert_eq!(errors(Some(&old), &after, &world(0)), [""; 0]);
    let record = traffic_split::read(&after).record().cloned().unwrap();
    assert_eq!(record.written[""]["emoji-svc"], [json!("900m")]);
    // A new fault is none that it had before.
    let mut worse = old.clone();
    worse.data["spec"]["backends"][1]["weight"] = json!("half");
    let worse = mutated(&old, &worse, &world(0));
    let found = errors(Some(&old), &worse, &world(0)).join("\n");
    assert!(found.contains("spec.backends[1].weight: found \"half\""), "{found}");
}

#[test]
fn the_authors_text_comes_back_when_the_label_goes() {
    let old = failed_over(with_fractions());
    let mut new = old.clone();
    new.labels_mut().clear();
    let mut world = world(0);
    // The schema of v1alpha2 refuses text: the same value as a number.
    assert_eq!(weights(&mutated(&old, &new, &world)), [json!(0.9), json!(0)]);
    world.takes_text = true;
    let released = mutated(&old, &new, &world);
    assert_eq!(weights(&released), [json!("900m"), json!(0)]);
    assert!(released.annotations().is_empty());
    // Weights in the same request win.
    new.data["spec"]["backends"][0]["weight"] = json!("250m");
    assert_eq!(weights(&mutated(&old, &new, &world)), [json!("250m"), json!(0)]);
}

#[test]
fn both_weights_of_a_name_that_stands_twice_come_back() {
    let twice = [("emoji-svc", json!(1)), ("emoji-svc-west", json!(0)), ("emoji-svc", json!(2))];
    let first = stored(split(&twice, &[]));
    let mut edited = first.clone();
    edited.annotations_mut().insert(annotations::FAILOVER_DELAY.into(), "3s".into());
    let mut old = stored(mutated(&first, &edited, &world(1)));
    assert_eq!(weights(&old), [json!(1), json!(0), json!(2)]);
    old.metadata.resource_version = Some("43".into());
    for (i, weight) in [0, 1, 0].iter().enumerate() {
        old.data["spec"]["backends"][i]["weight"] = json!(weight);
    }
    let mut new = old.clone();
    new.labels_mut().clear();
    assert_eq!(weights(&mutated(&old, &new, &world(1))), [json!(1), json!(0), json!(2)]);
}
