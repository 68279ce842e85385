use crate::admission::test_support::{World, mutate, split, stored, validate};
use crate::admission::validate::Validation;
use crate::engine::annotations;
use kube::ResourceExt;
use kube::core::DynamicObject;
use serde_json::{Value, json};

const PAUSED: &[(&str, &str)] = &[(annotations::PAUSED, "true")];

fn of_weights(weights: [u32; 2], annotations: &[(&str, &str)]) -> DynamicObject {
    let [primary, west] = weights.map(|weight| json!(weight));
    split(&[("emoji-svc", primary), ("emoji-svc-west", west)], annotations)
}

fn world() -> World {
    World::with(&[("emoji-svc", 1), ("emoji-svc-west", 1)])
}

fn mutated(old: Option<&DynamicObject>, new: &DynamicObject) -> DynamicObject {
    let mut json: Value = serde_json::to_value(new).unwrap();
    let edit = mutate(old, new, &world().view()).edit;
    json_patch::patch(&mut json, &edit.into_patch()).unwrap();
    serde_json::from_value(json).unwrap()
}

fn validated(old: Option<&DynamicObject>, new: &DynamicObject) -> Validation {
    validate(old, new, &world().view())
}

#[test]
fn weights_set_to_zero_by_hand_while_paused_are_refused() {
    let old = stored(mutated(None, &of_weights([5, 0], PAUSED)));
    let mut zero = old.clone();
    zero.data = of_weights([0, 0], PAUSED).data;
    let there = mutated(Some(&old), &zero);
    assert_eq!(there.data, zero.data, "while paused what is given stands");
    let errors: Vec<String> =
        validated(Some(&old), &there).errors.iter().map(ToString::to_string).collect();
    assert_eq!(errors.len(), 1, "{errors:?}");
    assert!(
        errors[0].starts_with(
            "spec.backends: found weight 0 for every backend, expected a backend with weight"
        ),
        "{errors:?}"
    );
    // Paused in the same request, and where the mutating webhook is away.
    let unpaused = stored(mutated(None, &of_weights([5, 0], &[])));
    assert_eq!(validated(Some(&unpaused), &mutated(Some(&unpaused), &zero)).errors.len(), 1);
    assert_eq!(validated(None, &of_weights([0, 0], PAUSED)).errors.len(), 1);
}

#[test]
fn weights_that_are_zero_already_do_not_block_a_fix_of_anything_else() {
    let old = stored(of_weights([0, 0], PAUSED));
    let mut labelled = old.clone();
    labelled.labels_mut().insert("team".into(), "emoji".into());
    let validation = validated(Some(&old), &labelled);
    assert_eq!(
        (validation.errors.len(), validation.warnings.is_empty()),
        (0, false),
        "{validation:?}"
    );
    // Without a pause they are put right at birth.
    assert_eq!(validated(None, &mutated(None, &of_weights([0, 0], &[]))).errors, []);
}
