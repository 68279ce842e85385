use crate::admission::test_support::{LABEL, World, mutate, split, stored};
use crate::engine::{Now, SetState, Weights, annotations};
use crate::index::resource::WatchedResource;
use crate::kinds::traffic_split;
use jiff::SignedDuration;
use kube::ResourceExt;
use kube::core::DynamicObject;
use proptest::prelude::*;
use serde_json::{Value, json};

/// The object after the webhook, and its notes.
pub(super) fn mutated(
    old: Option<&DynamicObject>,
    new: &DynamicObject,
    world: &World,
) -> (DynamicObject, Vec<String>) {
    let mutation = mutate(old, new, &world.view());
    let mut value = serde_json::to_value(new).unwrap();
    json_patch::patch(&mut value, &mutation.edit.into_patch()).unwrap();
    (serde_json::from_value(value).unwrap(), mutation.notes)
}

pub(super) fn weights(object: &DynamicObject) -> Vec<u64> {
    let backends = object.data["spec"]["backends"].as_array().unwrap();
    backends.iter().map(|b| b["weight"].as_u64().unwrap()).collect()
}

pub(super) fn authored(object: &DynamicObject) -> Weights {
    traffic_split::read(object)
        .recorded()
        .cloned()
        .and_then(|mut sets| sets.remove(""))
        .unwrap_or_default()
}

/// What is recorded of the decision on a split.
fn set_state(object: &DynamicObject) -> Option<SetState> {
    traffic_split::read(object).state()?.sets.get("").cloned()
}

pub(super) fn active(object: &DynamicObject) -> Vec<String> {
    set_state(object).map(|set| set.active).unwrap_or_default()
}

/// The same without its label.
fn unmanaged(object: &DynamicObject) -> DynamicObject {
    let mut object = object.clone();
    object.labels_mut().clear();
    object
}

pub(super) fn named(pairs: &[(&str, u32)]) -> Weights {
    pairs.iter().map(|(name, weight)| ((*name).to_owned(), *weight)).collect()
}

fn healthy() -> World {
    World::with(&[("emoji-svc", 1), ("emoji-svc-west", 1), ("emoji-svc-north", 1)])
}

fn authored_split() -> DynamicObject {
    split(&[("emoji-svc", json!(5)), ("emoji-svc-west", json!(0))], &[])
}

/// The authored split as it is stored while the primary is down, and that world.
pub(super) fn failed_over() -> (DynamicObject, World) {
    let mut world = healthy();
    world.set_ready("emoji-svc", 0);
    (stored(mutated(None, &authored_split(), &world).0), world)
}

#[test]
fn at_creation_the_primary_is_defaulted_and_the_authors_weights_recorded() {
    let (object, notes) = mutated(None, &authored_split(), &healthy());
    assert_eq!(object.annotations()[annotations::PRIMARY_SERVICE], "emoji-svc");
    assert_eq!(authored(&object), named(&[("emoji-svc", 5), ("emoji-svc-west", 0)]));
    assert_eq!(weights(&object), [5, 0]);
    assert_eq!(active(&object), ["emoji-svc"]);
    assert!(notes[0].contains("was not set: the first backend, emoji-svc, is the primary"));
}

#[test]
fn an_object_without_annotations_gets_them_too() {
    let mut new = authored_split();
    new.metadata.annotations = None;
    assert_eq!(active(&mutated(None, &new, &healthy()).0), ["emoji-svc"]);
}

#[test]
fn at_creation_the_weights_are_the_decision() {
    let (object, _) = failed_over();
    assert_eq!(weights(&object), [0, 1]);
    assert_eq!(authored(&object)["emoji-svc"], 5);
}

#[test]
fn a_service_that_the_cache_has_not_seen_yet_is_not_down() {
    let world = World::with(&[("emoji-svc-west", 1)]);
    assert_eq!(weights(&mutated(None, &authored_split(), &world).0), [5, 0]);
}

#[test]
fn before_the_caches_are_synced_nothing_is_down() {
    let mut world = World::with(&[("emoji-svc", 0), ("emoji-svc-west", 1)]);
    world.index.synced.set(WatchedResource::EndpointSlices, false);
    assert_eq!(weights(&mutated(None, &authored_split(), &world).0), [5, 0]);
}

#[test]
fn applying_the_manifest_again_does_not_undo_a_failover() {
    let (old, world) = failed_over();
    let mut again = old.clone();
    again.data["spec"] = authored_split().data["spec"].clone();
    let (object, notes) = mutated(Some(&old), &again, &world);
    assert_eq!(object, old, "a dry run shows no difference");
    assert!(notes[0].contains("traffic stays on emoji-svc-west"), "{notes:?}");
}

#[test]
fn replacing_the_object_by_its_manifest_does_not_undo_a_failover() {
    let (old, world) = failed_over();
    let replaced = stored(authored_split());
    assert_eq!(mutated(Some(&old), &replaced, &world).0, old);
}

#[test]
fn an_edit_of_anything_else_changes_nothing_of_ours() {
    let (old, world) = failed_over();
    let mut edited = old.clone();
    edited.labels_mut().insert("team".into(), "emoji".into());
    assert_eq!(mutated(Some(&old), &edited, &world).0, edited);
}

#[test]
fn a_new_weight_is_recorded_while_traffic_stays() {
    let (old, world) = failed_over();
    let mut edited = old.clone();
    edited.data["spec"]["backends"][0]["weight"] = json!(9);
    edited.data["spec"]["backends"][1]["weight"] = json!(3);
    let (object, _) = mutated(Some(&old), &edited, &world);
    assert_eq!(weights(&object), [0, 3]);
    assert_eq!(authored(&object), named(&[("emoji-svc", 9), ("emoji-svc-west", 3)]));
}

#[test]
fn a_newly_applied_manifest_is_taken_exactly() {
    let (old, world) = failed_over();
    // 1 is what happens to be live on the fallback: without the manifest it would look untouched.
    let manifest = split(&[("emoji-svc", json!(7)), ("emoji-svc-west", json!(1))], &[]);
    let mut applied = old.clone();
    applied.data["spec"] = manifest.data["spec"].clone();
    let text = serde_json::to_string(&manifest).unwrap();
    applied.annotations_mut().insert(annotations::LAST_APPLIED.into(), text);
    let (object, _) = mutated(Some(&old), &applied, &world);
    assert_eq!(authored(&object), named(&[("emoji-svc", 7), ("emoji-svc-west", 1)]));
    assert_eq!(weights(&object), [0, 1]);
}

#[test]
fn of_two_authors_the_last_wins_with_a_note_of_the_other() {
    let (mut old, world) = failed_over();
    let text = serde_json::to_string(&authored_split()).unwrap();
    old.annotations_mut().insert(annotations::LAST_APPLIED.into(), text);
    let mut edited = old.clone();
    edited.data["spec"]["backends"][0]["weight"] = json!(9);
    let (object, notes) = mutated(Some(&old), &edited, &world);
    assert_eq!(authored(&object)["emoji-svc"], 9);
    assert!(notes.iter().any(|s| s.contains("two authors")), "{notes:?}");
}

#[test]
fn backends_in_another_order_keep_their_weights_and_the_authors_order() {
    let (old, world) = failed_over();
    let mut edited = old.clone();
    let backends = edited.data["spec"]["backends"].as_array_mut().unwrap();
    backends.reverse();
    let (object, _) = mutated(Some(&old), &edited, &world);
    assert_eq!(weights(&object), [1, 0]);
    assert_eq!(active(&object), ["emoji-svc-west"]);
}

#[test]
fn a_backend_that_is_added_gets_nothing_until_it_is_decided() {
    let (old, world) = failed_over();
    let mut edited = old.clone();
    let backends = edited.data["spec"]["backends"].as_array_mut().unwrap();
    backends.push(json!({"service": "emoji-svc-north", "weight": 50}));
    let (object, _) = mutated(Some(&old), &edited, &world);
    assert_eq!(weights(&object), [0, 1, 0]);
    assert_eq!(authored(&object)["emoji-svc-north"], 50);
}

#[test]
fn where_no_active_backend_remains_there_is_a_new_decision() {
    let (old, world) = failed_over();
    let mut edited = old.clone();
    edited.data["spec"]["backends"][1]["service"] = json!("emoji-svc-north");
    let (object, _) = mutated(Some(&old), &edited, &world);
    assert_eq!(weights(&object), [0, 1]);
    assert_eq!(active(&object), ["emoji-svc-north"]);
}

#[test]
fn a_defaulted_primary_follows_the_first_backend_also_when_the_annotation_is_kept() {
    let old = stored(mutated(None, &authored_split(), &healthy()).0);
    let mut edited = old.clone();
    edited.data["spec"]["backends"][0]["service"] = json!("emoji-svc-north");
    let (object, _) = mutated(Some(&old), &edited, &healthy());
    assert_eq!(object.annotations()[annotations::PRIMARY_SERVICE], "emoji-svc-north");
}

#[test]
fn a_brought_state_and_foreign_weights_are_not_believed() {
    let (backup, _) = failed_over();
    let mut restored = split(&[("emoji-svc", json!(0)), ("emoji-svc-west", json!(1))], &[]);
    restored.metadata.annotations = backup.metadata.annotations;
    let (object, _) = mutated(None, &restored, &healthy());
    assert_eq!(weights(&object), [5, 0], "the recorded weights of a restored backup are believed");
    assert_eq!(active(&object), ["emoji-svc"]);
}

#[test]
fn recorded_weights_of_other_backends_are_not_believed() {
    let record = r#"{"v":1,"sets":{"":{"someone":9}}}"#;
    let new = split(
        &[("emoji-svc", json!(5)), ("emoji-svc-west", json!(0))],
        &[(annotations::AUTHORED_WEIGHTS, record)],
    );
    assert_eq!(authored(&mutated(None, &new, &healthy()).0)["emoji-svc"], 5);
}

/// The stored object with these annotations of its author.
pub(super) fn annotated(object: &DynamicObject, pairs: &[(&str, &str)]) -> DynamicObject {
    let mut object = object.clone();
    let pairs = pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    object.annotations_mut().extend(pairs);
    object
}

pub(super) fn with_weights(object: &DynamicObject, weights: [u32; 2]) -> DynamicObject {
    let mut object = object.clone();
    for (i, weight) in weights.into_iter().enumerate() {
        object.data["spec"]["backends"][i]["weight"] = json!(weight);
    }
    object
}

#[test]
fn a_ready_fallback_keeps_its_smallest_share_when_the_manifest_is_applied_again() {
    let world = healthy();
    let warm = annotated(&authored_split(), &[(annotations::WARM_STANDBY, "true")]);
    let old = stored(mutated(None, &warm, &world).0);
    assert_eq!(weights(&old), [429_495, 1]);
    let mut again = old.clone();
    again.data["spec"] = authored_split().data["spec"].clone();
    assert_eq!(mutated(Some(&old), &again, &world).0, old);
}

#[test]
fn an_edit_that_gives_no_weights_and_changes_them_says_what_they_are_now() {
    let world = healthy();
    let warm = annotated(&authored_split(), &[(annotations::WARM_STANDBY, "true")]);
    let old = stored(mutated(None, &warm, &world).0);
    let mut plain = old.clone();
    plain.annotations_mut().remove(annotations::WARM_STANDBY);
    let (object, notes) = mutated(Some(&old), &plain, &world);
    assert_eq!(weights(&object), [5, 0]);
    assert!(notes[0].ends_with("; the weights are emoji-svc=5, emoji-svc-west=0 now"), "{notes:?}");
}

#[test]
fn taking_the_label_off_gives_the_authors_weights_back() {
    let (old, world) = failed_over();
    let mut edited = old.clone();
    edited.labels_mut().remove(LABEL);
    let (object, notes) = mutated(Some(&old), &edited, &world);
    assert_eq!(weights(&object), [5, 0]);
    assert!(object.annotations().keys().all(|name| !name.starts_with(annotations::PREFIX)));
    assert!(notes[0].contains("emoji-svc gets traffic again and is not ready"), "{notes:?}");
}

#[test]
fn a_manifest_without_the_label_is_taken_exactly() {
    let (old, world) = failed_over();
    let mut manifest = split(&[("emoji-svc", json!(0)), ("emoji-svc-west", json!(1))], &[]);
    manifest.labels_mut().clear();
    let mut applied = old.clone();
    applied.labels_mut().remove(LABEL);
    let text = serde_json::to_string(&manifest).unwrap();
    applied.annotations_mut().insert(annotations::LAST_APPLIED.into(), text);
    // To stay where the traffic is; live weights by themselves would be taken for untouched.
    assert_eq!(weights(&mutated(Some(&old), &applied, &world).0), [0, 1]);
}

#[test]
fn weights_changed_together_with_the_label_are_taken() {
    let (old, world) = failed_over();
    let mut edited = old.clone();
    edited.labels_mut().remove(LABEL);
    edited.data["spec"]["backends"][1]["weight"] = json!(8);
    assert_eq!(weights(&mutated(Some(&old), &edited, &world).0), [5, 8]);
}

#[test]
fn a_split_in_the_middle_of_the_predecessors_failover_stays_there_when_it_is_touched() {
    let old = stored(split(
        &[("emoji-svc", json!(0)), ("emoji-svc-west", json!(1))],
        &[(annotations::PRIMARY_SERVICE, "emoji-svc")],
    ));
    let mut world = healthy();
    world.set_ready("emoji-svc", 0);
    let (object, _) = mutated(Some(&old), &stored(authored_split()), &world);
    assert_eq!(weights(&object), [0, 1]);
    assert_eq!(authored(&object), named(&[("emoji-svc", 5), ("emoji-svc-west", 0)]));
}

#[test]
fn what_cannot_be_read_and_what_is_not_ours_passes_untouched() {
    let unreadable = split(&[("emoji-svc", json!("500m"))], &[]);
    let unmanaged = unmanaged(&authored_split());
    let mut deleted = failed_over().0;
    deleted.metadata.deletion_timestamp =
        Some(serde_json::from_value(json!("2026-01-01T00:00:00Z")).unwrap());
    for (old, new) in [
        (None, &unreadable),
        (None, &unmanaged),
        (Some(failed_over().0), &unreadable),
        (Some(failed_over().0), &deleted),
    ] {
        let (object, notes) = mutated(old.as_ref(), new, &healthy());
        assert_eq!((&object, notes.len()), (new, 0));
    }
}

/// The time of a second call for the same request.
fn second_call(world: &World) -> Now {
    Now::at(world.now.wall + SignedDuration::from_secs(2))
}

#[test]
fn a_second_call_explains_a_move_as_the_first_did() {
    let mut world = World::with(&[("emoji-svc", 0)]).missing(&["other"]);
    let labelled = stored(split(&[("other", json!(1)), ("emoji-svc", json!(0))], &[]));
    let before = unmanaged(&labelled);
    let once = mutated(Some(&before), &labelled, &world).0;
    assert_eq!(weights(&once), [0, 1]);
    let why = set_state(&once).unwrap().why;
    assert!(why.starts_with("no backend is ready, so traffic goes to"), "{why}");
    world.now = second_call(&world);
    assert_eq!(mutated(Some(&before), &once, &world).0, once);
}

#[test]
fn a_second_call_does_not_take_a_pin_for_a_loss() {
    let mut world = healthy();
    let weights_of = [("emoji-svc", json!(1)), ("emoji-svc-west", json!(0))];
    let labelled = stored(split(&weights_of, &[(annotations::PIN, "emoji-svc-west")]));
    let before = unmanaged(&labelled);
    let once = mutated(Some(&before), &labelled, &world).0;
    assert_eq!(weights(&once), [0, 1]);
    assert_eq!(set_state(&once).unwrap().left, None);
    world.now = second_call(&world);
    assert_eq!(mutated(Some(&before), &once, &world).0, once);
}

fn any_backends() -> impl Strategy<Value = Vec<(&'static str, Value)>> {
    let names = ["emoji-svc", "emoji-svc-west", "emoji-svc-north", "other"];
    let weight = prop_oneof![(0_u32..4).prop_map(|w| json!(w)), Just(json!(null))];
    proptest::sample::subsequence(names.to_vec(), 0..=4)
        .prop_shuffle()
        .prop_flat_map(move |names| {
            let count = names.len();
            (Just(names), proptest::collection::vec(weight.clone(), count))
        })
        .prop_map(|(names, weights)| names.into_iter().zip(weights).collect())
}

fn any_world() -> impl Strategy<Value = World> {
    (0_usize..2, 0_usize..2, 0_usize..2).prop_map(|(a, b, c)| {
        World::with(&[("emoji-svc", a), ("emoji-svc-west", b), ("emoji-svc-north", c)])
            .missing(&["other"])
    })
}

proptest! {
    #[test]
    fn mutating_twice_is_mutating_once(
        first in any_backends(),
        second in any_backends(),
        (before, after) in (any_world(), any_world()),
        labelled in any::<bool>(),
        primary in proptest::option::of(Just("emoji-svc-west")),
    ) {
        let annotations: Vec<_> =
            primary.map(|p| (annotations::PRIMARY_SERVICE, p)).into_iter().collect();
        let (created, _) = mutated(None, &split(&first, &annotations), &before);
        prop_assert_eq!(&mutated(None, &created, &before).0, &created);

        let old = stored(created);
        let mut new = old.clone();
        new.data["spec"] = split(&second, &[]).data["spec"].clone();
        if !labelled {
            new.labels_mut().clear();
        }
        let once = mutated(Some(&old), &new, &after).0;
        prop_assert_eq!(&mutated(Some(&old), &once, &after).0, &once);

        let labelled = stored(split(&first, &annotations));
        let unmanaged = unmanaged(&labelled);
        let once = mutated(Some(&unmanaged), &labelled, &before).0;
        prop_assert_eq!(&mutated(Some(&unmanaged), &once, &before).0, &once);
    }

    /// Whatever an author does to a managed object, traffic goes nowhere it did not go before.
    #[test]
    fn an_edit_moves_no_traffic_while_an_active_backend_remains(
        first in any_backends(),
        second in any_backends(),
        (before, after) in (any_world(), any_world()),
    ) {
        let (created, _) = mutated(None, &split(&first, &[]), &before);
        let old = stored(created);
        let mut new = old.clone();
        new.data["spec"] = split(&second, &[]).data["spec"].clone();
        let object = mutated(Some(&old), &new, &after).0;
        let was = active(&old);
        let declared = traffic_split::read(&object);
        prop_assume!(after.view().intents(&declared).is_ok());
        if declared.backends().any(|b| was.contains(&b.name)) {
            for backend in declared.backends() {
                let carries = backend.weight.whole().unwrap() > 0;
                prop_assert_eq!(carries, was.contains(&backend.name), "{}", backend.name);
            }
        }
    }
}
