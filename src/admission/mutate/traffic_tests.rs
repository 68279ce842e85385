//! Where traffic goes when an object is edited: in a pause, by hand, and through stays and delays.

use crate::admission::mutate::tests::{
    active, annotated, authored, failed_over, mutated, named, weights, with_weights,
};
use crate::admission::test_support::World;
use crate::engine::{RecordedDown, RecordedDowns, SetState, annotations};
use crate::kinds::traffic_split;
use jiff::SignedDuration;
use kube::ResourceExt;
use kube::core::DynamicObject;
use serde_json::json;

/// What the object records of its set.
fn recorded(object: &DynamicObject) -> SetState {
    traffic_split::read(object).state().unwrap().sets[""].clone()
}

/// The object with another record of its set.
fn with_record(object: &DynamicObject, edit: impl FnOnce(&mut SetState)) -> DynamicObject {
    let mut state = traffic_split::read(object).state().cloned().unwrap();
    edit(state.sets.get_mut("").unwrap());
    annotated(object, &[(annotations::STATE, &state.to_annotation())])
}

#[test]
fn applying_the_manifest_moves_nothing_while_paused_either() {
    let (old, world) = failed_over();
    let paused = annotated(&old, &[(annotations::PAUSED, "true")]);
    // The manifest that pauses, and any after it.
    for old in [&old, &mutated(Some(&old), &paused, &world).0] {
        let (object, _) = mutated(Some(old), &with_weights(&paused, [5, 0]), &world);
        assert_eq!(weights(&object), [0, 1]);
        assert_eq!(active(&object), ["emoji-svc-west"]);
    }
}

fn left(object: &DynamicObject) -> bool {
    recorded(object).left.is_some()
}

/// The stored object of a primary that was lost, rather than born dead.
fn lost() -> (DynamicObject, World) {
    let (old, world) = failed_over();
    let lost = with_record(&old, |set| {
        (set.left, set.awaiting_primary) = (Some(world.now.wall), false);
    });
    (lost, world)
}

#[test]
fn a_manual_stay_goes_on_where_its_fallback_is_replaced_and_where_it_is_weighed_by_hand() {
    let (old, world) = lost();
    let mut renamed = old.clone();
    renamed.data["spec"]["backends"][1]["service"] = json!("emoji-svc-north");
    let (object, _) = mutated(Some(&old), &renamed, &world);
    assert_eq!((active(&object), left(&object)), (vec!["emoji-svc-north".into()], true));

    let paused = annotated(&old, &[(annotations::PAUSED, "true")]);
    let by_hand = mutated(Some(&old), &with_weights(&paused, [0, 7]), &world).0;
    assert_eq!((weights(&by_hand), left(&by_hand)), (vec![0, 7], true));
    let back = mutated(Some(&old), &with_weights(&paused, [3, 0]), &world).0;
    assert_eq!((weights(&back), left(&back)), (vec![3, 0], false));
}

#[test]
fn a_backend_that_was_declared_down_again_stays_away_through_edits() {
    let (old, mut world) = lost();
    world.set_ready("emoji-svc", 1);
    let since = world.now.wall - SignedDuration::from_secs(10);
    let stay = RecordedDown { since, least: 600, returned: None, person: false };
    let stay = RecordedDowns::from([("emoji-svc".to_owned(), stay)]);
    let old = with_record(&old, |set| set.down = stay.clone());

    let mut renamed = old.clone();
    renamed.data["spec"]["backends"][1]["service"] = json!("emoji-svc-north");
    let (object, _) = mutated(Some(&old), &renamed, &world);
    assert_eq!(
        (active(&object), recorded(&object).down),
        (vec!["emoji-svc-north".into()], stay.clone())
    );

    let paused = annotated(&old, &[(annotations::PAUSED, "true")]);
    let by_hand = mutated(Some(&old), &with_weights(&paused, [3, 7]), &world).0;
    assert_eq!((weights(&by_hand), recorded(&by_hand).down), (vec![3, 7], stay));
}

#[test]
fn weights_set_by_hand_while_paused_take_effect_and_are_the_authors() {
    let (old, world) = failed_over();
    let paused = mutated(Some(&old), &annotated(&old, &[(annotations::PAUSED, "true")]), &world).0;
    let by_hand = with_weights(&paused, [3, 7]);
    let (object, _) = mutated(Some(&paused), &by_hand, &world);
    assert_eq!(weights(&object), [3, 7]);
    assert_eq!(authored(&object), named(&[("emoji-svc", 3), ("emoji-svc-west", 7)]));
    assert_eq!(active(&object), ["emoji-svc", "emoji-svc-west"]);
    // Also in the very request that pauses.
    let at_once = with_weights(&annotated(&old, &[(annotations::PAUSED, "true")]), [3, 7]);
    assert_eq!(weights(&mutated(Some(&old), &at_once, &world).0), [3, 7]);
}

#[test]
fn a_weight_set_by_hand_while_paused_takes_effect_also_where_it_is_the_authors_own() {
    let (old, mut world) = failed_over();
    let paused = mutated(Some(&old), &annotated(&old, &[(annotations::PAUSED, "true")]), &world).0;
    // Back to the primary in steps: its authored weight beside the live one of the fallback.
    let (object, notes) = mutated(Some(&paused), &with_weights(&paused, [5, 1]), &world);
    assert_eq!((weights(&object), notes.len()), (vec![5, 1], 0), "{notes:?}");
    assert_eq!(active(&object), ["emoji-svc", "emoji-svc-west"]);
    // All of them are what is recorded: a manifest, unless a person has written them.
    let all = with_weights(&paused, [5, 0]);
    assert_eq!(weights(&mutated(Some(&paused), &all, &world).0), [0, 1]);
    world.manager = Some("kubectl-edit");
    assert_eq!(weights(&mutated(Some(&paused), &all, &world).0), [5, 0]);
    world.manager = None;
    // All zero stays, for the validator to see, also where the API server calls again.
    let (first, _) = mutated(Some(&paused), &with_weights(&paused, [0, 0]), &world);
    assert_eq!(weights(&first), [0, 0]);
    assert_eq!(mutated(Some(&paused), &first, &world).0, first);
}

#[test]
fn where_the_fallback_is_replaced_the_note_names_where_traffic_goes() {
    let (old, world) = failed_over();
    let mut renamed = with_weights(&old, [5, 0]);
    renamed.data["spec"]["backends"][1]["service"] = json!("emoji-svc-north");
    let (_, notes) = mutated(Some(&old), &renamed, &world);
    assert!(notes[0].starts_with("traffic goes to emoji-svc-north ("), "{notes:?}");
    let (_, notes) = mutated(Some(&old), &with_weights(&old, [5, 0]), &world);
    assert!(notes[0].starts_with("traffic stays on emoji-svc-west ("), "{notes:?}");
}

#[test]
fn the_authors_weights_count_again_when_the_pause_ends() {
    let (old, world) = failed_over();
    let paused = mutated(Some(&old), &annotated(&old, &[(annotations::PAUSED, "true")]), &world).0;
    let by_hand = mutated(Some(&paused), &with_weights(&paused, [3, 7]), &world).0;
    let mut unpaused = by_hand.clone();
    unpaused.annotations_mut().remove(annotations::PAUSED);
    let (object, _) = mutated(Some(&by_hand), &unpaused, &world);
    assert_eq!(weights(&object), [3, 7], "traffic moves when it is decided, not by an edit");
    assert_eq!(authored(&object), named(&[("emoji-svc", 3), ("emoji-svc-west", 7)]));
}

#[test]
fn a_delay_that_runs_goes_on_through_an_edit_and_not_beside_other_active_backends() {
    let (old, world) = failed_over();
    let old = with_record(&old, |set| {
        set.pending.insert("emoji-svc".into(), world.now.wall);
    });
    let pending = |object: &DynamicObject| recorded(object).pending.len();
    let again = with_weights(&old, [5, 0]);
    assert_eq!(pending(&mutated(Some(&old), &again, &world).0), 1);
    let mut renamed = old.clone();
    renamed.data["spec"]["backends"][1]["service"] = json!("emoji-svc-north");
    assert_eq!(pending(&mutated(Some(&old), &renamed, &world).0), 0);
}
