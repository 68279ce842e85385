use super::*;
use crate::admission::test_support::{World, mutate, split, stored};
use crate::engine::State;
use proptest::prelude::*;
use serde_json::{Value, json};

const NAMED: &[(&str, &str)] = &[(annotations::PRIMARY_SERVICE, "a")];

/// Two primaries that share the traffic, so that weights matter.
fn world() -> World {
    World::with(&[("a", 1), ("b", 1), ("emoji-svc", 1)])
}

fn of(backends: &[(&str, u32)], annotations: &[(&str, &str)]) -> DynamicObject {
    let backends: Vec<_> = backends.iter().map(|(name, weight)| (*name, json!(weight))).collect();
    split(&backends, annotations)
}

fn mutated(world: &World, old: Option<&DynamicObject>, new: &DynamicObject) -> DynamicObject {
    let mut json: Value = serde_json::to_value(new).unwrap();
    let edit = mutate(old, new, &world.view()).edit;
    json_patch::patch(&mut json, &edit.into_patch()).unwrap();
    serde_json::from_value(json).unwrap()
}

/// The ways by which a manifest comes to the API server.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Way {
    /// `kubectl apply`: a patch, and the manifest in an annotation.
    ClientSide,
    /// Flux, Helm 4, `kubectl apply --server-side`.
    ServerSide,
    /// `kubectl replace`: the manifest takes the place of the object.
    Replace,
    /// Helm 3, or a merge patch by hand: the manifest, merged into the object.
    Merge,
}

const WAYS: [Way; 4] = [Way::ClientSide, Way::ServerSide, Way::Replace, Way::Merge];

fn entry(manager: &str, operation: &str, manifest: &DynamicObject) -> Value {
    let names = manifest.annotations().keys().map(|name| (format!("f:{name}"), json!({})));
    let annotations: serde_json::Map<_, _> = names.collect();
    json!({"manager": manager, "operation": operation, "fieldsType": "FieldsV1",
        "fieldsV1": {"f:metadata": {"f:annotations": annotations}, "f:spec": {"f:backends": {}}}})
}

impl Way {
    /// The object that the webhook sees where this manifest is brought over what is stored.
    fn bring(self, old: Option<&DynamicObject>, manifest: &DynamicObject) -> DynamicObject {
        let mut new = match old.filter(|_| self != Self::Replace) {
            None => manifest.clone(),
            Some(old) => {
                let mut new = old.clone();
                new.data = manifest.data.clone();
                new.annotations_mut().extend(manifest.annotations().clone());
                new
            }
        };
        match self {
            Self::ClientSide => {
                let text = serde_json::to_string(manifest).unwrap();
                new.annotations_mut().insert(annotations::LAST_APPLIED.into(), text);
            }
            Self::ServerSide => {
                let applied = entry("kustomize-controller", "Apply", manifest);
                new.metadata.managed_fields = serde_json::from_value(json!([applied])).unwrap();
            }
            Self::Replace | Self::Merge => {}
        }
        if old.is_some() { stored(new) } else { new }
    }

    fn world(self, mut world: World) -> World {
        world.manager = match self {
            Self::ServerSide => Some("kustomize-controller"),
            Self::Merge => Some("helm"),
            _ => Some("kubectl"),
        };
        world
    }
}

fn primary(object: &DynamicObject) -> Vec<String> {
    Kind::TrafficSplit.read(object).primaries()[""].clone()
}

fn authored(object: &DynamicObject) -> Weights {
    Kind::TrafficSplit.read(object).recorded().cloned().unwrap()[""].clone()
}

#[test]
fn who_names_the_primary_that_was_defaulted_and_reorders_is_obeyed_by_every_way() {
    for way in WAYS {
        let world = way.world(world());
        let before = of(&[("a", 1), ("b", 0)], &[]);
        let old = stored(mutated(&world, None, &way.bring(None, &before)));
        assert_eq!(primary(&old), ["a"]);
        let manifest = of(&[("b", 0), ("a", 1)], NAMED);
        let there = mutated(&world, Some(&old), &way.bring(Some(&old), &manifest));
        assert_eq!(primary(&there), ["a"], "{way:?}");
        assert_eq!(there.data, manifest.data, "{way:?}: no traffic moves");
        // And a second apply changes nothing.
        let again = mutated(&world, Some(&there), &way.bring(Some(&there), &manifest));
        assert_eq!((primary(&again), &again.data), (vec!["a".into()], &there.data), "{way:?}");
        let is_authors = Kind::TrafficSplit.read(&there).authored_primary().is_some();
        assert_eq!(is_authors, way != Way::Merge, "{way:?}");
    }
}

#[test]
fn who_names_nothing_and_reorders_gets_the_first_where_the_author_is_known() {
    for way in WAYS {
        let world = way.world(world());
        let old = of(&[("a", 1), ("b", 0)], &[]);
        let old = stored(mutated(&world, None, &way.bring(None, &old)));
        let new = way.bring(Some(&old), &of(&[("b", 0), ("a", 1)], &[]));
        let there = mutated(&world, Some(&old), &new);
        // A merge patch carries on what stands in the object, and may mean it.
        let expected = if way == Way::Merge { "a" } else { "b" };
        assert_eq!(primary(&there), [expected], "{way:?}");
        assert_eq!(mutated(&world, Some(&old), &there), there, "{way:?}: called again");
    }
}

#[test]
fn a_name_that_equals_the_default_stays_its_authors_until_it_is_taken_back() {
    let world = Way::ClientSide.world(world());
    let old = of(&[("a", 1), ("b", 0)], &[]);
    let old = stored(mutated(&world, None, &Way::ClientSide.bring(None, &old)));
    let named = Way::ClientSide.bring(Some(&old), &of(&[("a", 1), ("b", 0)], NAMED));
    let named = mutated(&world, Some(&old), &named);
    // An edit of anything else, by anybody.
    let mut edited = named.clone();
    edited.data = of(&[("b", 0), ("a", 1)], &[]).data;
    let edited = mutated(&world, Some(&named), &edited);
    assert_eq!(primary(&edited), ["a"]);
    let mut without = Way::ClientSide.bring(Some(&edited), &of(&[("b", 0), ("a", 1)], &[]));
    without.annotations_mut().remove(annotations::PRIMARY_SERVICE);
    assert_eq!(primary(&mutated(&world, Some(&edited), &without)), ["b"]);
    // The label comes off: what its author named stays, what we filled in goes.
    let mut released = named.clone();
    released.labels_mut().clear();
    let released = mutated(&world, Some(&named), &released);
    assert_eq!(released.annotations()[annotations::PRIMARY_SERVICE], "a");
}

#[test]
fn a_weight_set_to_0_while_0_is_live_is_the_authors_where_the_author_is_known() {
    let both = [(annotations::PRIMARY_SERVICE, "a,b")];
    for way in WAYS {
        let mut world = way.world(world());
        let before = of(&[("a", 90), ("b", 10)], &both);
        let old = stored(mutated(&world, None, &way.bring(None, &before)));
        // As after the flip, and the claims on the weights that are given up then.
        world.set_ready("a", 0);
        let mut old = Way::Merge.bring(Some(&old), &of(&[("a", 0), ("b", 10)], &both));
        let mut state = Kind::TrafficSplit.read(&old).state().cloned().unwrap();
        let set = state.sets.get_mut("").unwrap();
        (set.active, set.weights) = (vec!["b".into()], [("a".into(), 0), ("b".into(), 10)].into());
        old.annotations_mut().insert(annotations::STATE.into(), state.to_annotation());

        // The manifest as it was: nothing of it is lost.
        let again = mutated(&world, Some(&old), &way.bring(Some(&old), &before));
        assert_eq!(authored(&again)["a"], 90, "{way:?}");
        assert_eq!(again.data, old.data, "{way:?}");
        let fixed = of(&[("a", 0), ("b", 100)], &both);
        let there = mutated(&world, Some(&old), &way.bring(Some(&old), &fixed));
        let expected = if way == Way::Merge { 90 } else { 0 };
        assert_eq!(authored(&there)["a"], expected, "{way:?}");
        assert_eq!(authored(&there)["b"], 100, "{way:?}");
        assert_eq!(mutated(&world, Some(&old), &there), there, "{way:?}: called again");
        // Taking the label off in that same request gives the same back.
        let mut released = way.bring(Some(&old), &fixed);
        released.labels_mut().clear();
        let released = mutated(&world, Some(&old), &released);
        assert_eq!(released.data["spec"]["backends"][0]["weight"], expected, "{way:?}");
    }
}

#[test]
fn argo_cd_that_sends_the_live_weights_back_is_no_author_of_them() {
    let mut world = Way::ServerSide.world(world());
    let both = [(annotations::PRIMARY_SERVICE, "a,b")];
    let old = stored(mutated(&world, None, &of(&[("a", 90), ("b", 10)], &both)));
    let mut live = old.clone();
    live.data = of(&[("a", 0), ("b", 10)], &both).data;
    for (manager, expected) in [("argocd-controller", 90), ("kustomize-controller", 0)] {
        world.manager = Some(manager);
        let mut echo = live.clone();
        let applied = entry(manager, "Apply", &of(&[], &both));
        echo.metadata.managed_fields = serde_json::from_value(json!([applied])).unwrap();
        let there = mutated(&world, Some(&live), &echo);
        assert_eq!(authored(&there)["a"], expected, "{manager}");
    }
}

#[test]
fn an_update_by_the_manager_that_applies_is_no_manifest() {
    let mut world = Way::ServerSide.world(world());
    let both = [(annotations::PRIMARY_SERVICE, "a,b")];
    let mut old = stored(mutated(&world, None, &of(&[("a", 90), ("b", 10)], &both)));
    old.data = of(&[("a", 0), ("b", 10)], &both).data;
    let applied = entry("kustomize-controller", "Apply", &of(&[], &both));
    old.metadata.managed_fields = serde_json::from_value(json!([applied])).unwrap();
    // Its patch sets a label, which has its own entry.
    let mut new = old.clone();
    let label = json!({"manager": "kustomize-controller", "operation": "Update",
        "fieldsType": "FieldsV1", "fieldsV1": {"f:metadata": {"f:labels": {"f:x": {}}}}});
    new.metadata.managed_fields = serde_json::from_value(json!([applied, label])).unwrap();
    assert_eq!(authored(&mutated(&world, Some(&old), &new))["a"], 90);
    world.manager = None;
    assert_eq!(authored(&mutated(&world, Some(&old), &old))["a"], 90, "nobody is named");
}

#[test]
fn who_restores_a_backup_owns_our_default_in_it_and_did_not_name_it() {
    let world = world();
    let backup = mutated(&world, None, &of(&[("a", 1), ("b", 0)], &[]));
    let created = entry("kubectl-create", "Update", &backup);
    let mut restored = backup.clone();
    restored.metadata.managed_fields = serde_json::from_value(json!([created])).unwrap();
    let old = stored(mutated(&world, None, &restored));
    assert!(
        State::parse(&old.annotations()[annotations::STATE]).unwrap().defaulted_primary.is_some()
    );
    let mut labelled = old.clone();
    labelled.labels_mut().insert("x".into(), "y".into());
    let there = mutated(&world, Some(&old), &labelled);
    assert_eq!(Kind::TrafficSplit.read(&there).authored_primary(), None);
}

proptest! {
    /// Whichever way the same manifest comes, once or again, in health or in an outage: it moves
    /// nothing that it did not move before, and the author's weights are those of the manifest.
    #[test]
    fn a_manifest_that_is_brought_again_changes_nothing(
        way in proptest::sample::select(WAYS.to_vec()),
        other in proptest::sample::select(WAYS.to_vec()),
        weights in proptest::collection::vec(0_u32..4, 2),
        named in any::<bool>(),
        ready in (0_usize..2, 0_usize..2),
    ) {
        let manifest = of(&[("a", weights[0]), ("b", weights[1])], if named { NAMED } else { &[] });
        let mut world = way.world(world());
        world.set_ready("a", ready.0);
        world.set_ready("b", ready.1);
        let old = stored(mutated(&world, None, &way.bring(None, &manifest)));
        let world = other.world(world);
        let there = mutated(&world, Some(&old), &other.bring(Some(&old), &manifest));
        prop_assert_eq!(&there.data, &old.data);
        prop_assert_eq!(primary(&there), primary(&old));
        let expected: Weights = [("a".into(), weights[0]), ("b".into(), weights[1])].into();
        prop_assert_eq!(authored(&there), expected);
        // The API server calls again where another webhook has changed the object.
        prop_assert_eq!(mutated(&world, Some(&old), &there), there);
    }
}

#[test]
fn an_unchanged_manifest_in_an_outage_is_answered_the_same_twice_and_a_dry_run_shows_no_difference()
{
    let mut world = Way::ServerSide.world(World::with(&[("a", 0), ("b", 1), ("emoji-svc", 1)]));
    let manifest = of(&[("a", 1), ("b", 0)], NAMED);
    let old = stored(mutated(&world, None, &Way::ServerSide.bring(None, &manifest)));
    let brought = Way::ServerSide.bring(Some(&old), &manifest);
    let once = mutated(&world, Some(&old), &brought);
    assert_eq!(authored(&once), authored(&old));
    assert_eq!(mutated(&world, Some(&old), &once), once);
    world.dry_run = true;
    assert_eq!(mutated(&world, Some(&old), &brought).annotations(), old.annotations());
}

#[test]
fn who_takes_our_annotations_away_by_hand_writes_no_weights() {
    let mut world = World::with(&[("a", 0), ("b", 1), ("emoji-svc", 1)]);
    let old = stored(mutated(&world, None, &of(&[("a", 9), ("b", 0)], &[])));
    let mut new = old.clone();
    for name in [annotations::STATE, annotations::AUTHORED_WEIGHTS] {
        new.annotations_mut().remove(name);
    }
    let record =
        |object: &DynamicObject| object.annotations()[annotations::AUTHORED_WEIGHTS].clone();
    world.manager = Some("kubectl-annotate");
    assert_eq!(record(&mutated(&world, Some(&old), &new)), record(&old));
    // Of a manifest that stands in its place they are the author's.
    world.manager = Some("kubectl-replace");
    assert_ne!(record(&mutated(&world, Some(&old), &new)), record(&old));
}

#[test]
fn handing_fields_over_to_server_side_apply_writes_no_weights() {
    let mut world = World::with(&[("a", 0), ("b", 1), ("emoji-svc", 1)]);
    world.manager = Some("kubectl");
    let manifest = of(&[("a", 9), ("b", 0)], &[]);
    let mut old = stored(mutated(&world, None, &manifest));
    let applied = entry("kubectl", "Apply", &manifest);
    let before = json!([applied, entry("kubectl-client-side-apply", "Update", &manifest)]);
    old.metadata.managed_fields = serde_json::from_value(before).unwrap();
    let mut new = old.clone();
    new.metadata.managed_fields = serde_json::from_value(json!([applied])).unwrap();
    let record =
        |object: &DynamicObject| object.annotations()[annotations::AUTHORED_WEIGHTS].clone();
    assert_eq!(record(&mutated(&world, Some(&old), &new)), record(&old));
    // A manifest that equals what is live is its author's.
    assert_ne!(record(&mutated(&world, Some(&old), &old)), record(&old));
}

#[test]
fn who_takes_the_weights_from_another_writer_writes_them_also_where_they_are_the_live_ones() {
    let world = World::with(&[("a", 1), ("b", 1), ("emoji-svc", 1)]);
    let manifest = of(&[("a", 1), ("b", 0)], &[]);
    let old = stored(mutated(&world, None, &manifest));
    // Another writes all weight to the fallback: it is recorded, and traffic stays on the primary.
    let mut new = old.clone();
    new.data = of(&[("a", 0), ("b", 7)], &[]).data;
    let mut old = mutated(&world, Some(&old), &new);
    assert_eq!(authored(&old), Weights::from([("a".into(), 0), ("b".into(), 7)]));
    assert_eq!(old.data, manifest.data, "what is live are the weights of the author");
    old.metadata.resource_version = Some("43".into());
    old.metadata.managed_fields =
        serde_json::from_value(json!([entry("rival", "Update", &manifest)])).unwrap();

    let way = Way::ServerSide;
    let new = way.bring(Some(&old), &manifest);
    let applied = Weights::from([("a".into(), 1), ("b".into(), 0)]);
    assert_eq!(authored(&mutated(&way.world(world), Some(&old), &new)), applied);
}
