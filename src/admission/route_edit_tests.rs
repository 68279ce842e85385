//! Edits of a managed route, most of them in an outage: traffic stays where it is, and a fix is never
//! blocked.

use crate::admission::route_test_support::{
    backend, failed_over, http_route, mutated, two_rules, validation, weights, world,
};
use crate::admission::test_support::{mutate, stored};
use crate::engine::{State, annotations};
use crate::index::managed_object::{ManagedObject, ManagedSet};
use crate::index::resource::WatchedResource;
use crate::kinds::Kind;
use kube::ResourceExt;
use kube::core::DynamicObject;
use serde_json::{Value, json};

#[test]
fn applying_the_manifest_again_keeps_every_rule_where_it_is() {
    let mut world = world();
    let old = failed_over(&mut world);
    world.set_ready("emoji-svc", 1);
    // `replace`: the annotations are gone too.
    let there = mutated(&world, Some(&old), &stored(two_rules()));
    assert_eq!(there.data, old.data);
    assert_eq!(there.annotations(), old.annotations(), "without a trace");
    assert_eq!(validation(&world, Some(&old), &there).errors, []);
    // Where the mutating webhook was skipped, the validator refuses traffic to a backend that is down.
    let passed = validation(&world, Some(&old), &stored(two_rules()));
    assert_eq!((passed.errors.len(), passed.warnings.len()), (0, 2), "{passed:?}");
    world.set_ready("emoji-svc", 0);
    let errors = validation(&world, Some(&old), &stored(two_rules())).errors;
    assert_eq!(errors.len(), 2, "{errors:?}");
    assert_eq!(errors[0].field, "spec.rules[0].backendRefs[0].weight");
}

#[test]
fn a_stored_rule_that_shares_traffic_or_is_closed_stays_so_until_its_author_names_primaries() {
    let world = world();
    let rule =
        |one: u32, other: u32| json!([backend("emoji-svc", one), backend("emoji-svc-west", other)]);
    let half = stored(http_route(&[("/", rule(50, 50))]));
    let again = mutated(&world, Some(&half), &half);
    assert_eq!((again.data.clone(), again.annotations().len()), (half.data.clone(), 0));
    let reviewed = validation(&world, Some(&half), &again);
    assert_eq!(reviewed.errors, []);
    assert!(reviewed.warnings.iter().any(|w| w.to_string().contains("with weight 50")));
    let closed = stored(http_route(&[("/off", rule(0, 0)), ("/", rule(9, 0))]));
    let again = mutated(&world, Some(&closed), &closed);
    assert_eq!(weights(&again), [[0, 0], [9, 0]]);
    let state = State::parse(&again.annotations()[annotations::STATE]).unwrap();
    assert_eq!(state.sets.keys().collect::<Vec<_>>(), ["#1"]);

    let mut named = half.clone();
    named.annotations_mut().insert(annotations::PRIMARY_SERVICE.into(), "emoji-svc".into());
    let named = mutated(&world, Some(&half), &named);
    assert_eq!(
        named.annotations()[annotations::AUTHORED_WEIGHTS],
        r##"{"v":1,"sets":{"#0":{"emoji-svc":50,"emoji-svc-west":50}}}"##
    );
    assert_eq!(validation(&world, Some(&half), &named).errors, []);
}

#[test]
fn rules_that_are_inserted_moved_and_removed_keep_their_traffic() {
    let mut world = world();
    let old = failed_over(&mut world);
    world.set_ready("emoji-svc", 1);
    let new = stored(http_route(&[
        ("/new", json!([backend("emoji-svc", 4), backend("emoji-svc-west", 2)])),
        ("/web", json!([backend("web-svc", 5)])),
        ("/api", json!([backend("emoji-svc", 9), backend("emoji-svc-west", 0)])),
    ]));
    let there = mutated(&world, Some(&old), &new);
    // By its backends, the first is the former rule for every path.
    assert_eq!(weights(&there), [vec![0, 2], vec![5], vec![0, 1]]);
    let state = State::parse(&there.annotations()[annotations::STATE]).unwrap();
    assert_eq!(state.sets.keys().collect::<Vec<_>>(), ["#0", "#2"]);
    assert_eq!(state.sets["#2"].active, ["emoji-svc-west"]);
    assert!(
        there.annotations()[annotations::AUTHORED_WEIGHTS].contains(r##""#2":{"emoji-svc":9"##)
    );
    let again = mutated(&world, Some(&old), &there);
    assert_eq!(again, there, "called again for the same request");
}

#[test]
fn a_rule_that_is_given_a_name_or_loses_it_stays_where_it_is() {
    let mut world = world();
    let old = failed_over(&mut world);
    world.set_ready("emoji-svc", 1);
    // An editor sends the live weights.
    let mut new = old.clone();
    new.data["spec"]["rules"][0]["name"] = json!("api");
    let named = mutated(&world, Some(&old), &new);
    assert_eq!(weights(&named), weights(&old));
    assert!(named.annotations()[annotations::AUTHORED_WEIGHTS].contains(r#""api":{"emoji-svc":9"#));
    let mut again = named.clone();
    again.data["spec"]["rules"][0].as_object_mut().unwrap().remove("name");
    let unnamed = mutated(&world, Some(&named), &again);
    assert_eq!(unnamed.data, old.data);
    assert!(
        unnamed.annotations()[annotations::AUTHORED_WEIGHTS].contains(r##""#0":{"emoji-svc":9"##)
    );
}

#[test]
fn a_rule_inserted_at_the_top_in_an_outage_ends_no_failover_and_moves_nothing() {
    let mut world = world();
    let old = failed_over(&mut world);
    for beta in [
        json!([backend("web-svc", 1)]),
        json!([backend("web-svc", 1), backend("emoji-svc-west", 0)]),
    ] {
        let new = stored(http_route(&[
            ("/beta", beta.clone()),
            ("/api", json!([backend("emoji-svc", 9), backend("emoji-svc-west", 0)])),
            ("/", json!([backend("emoji-svc", 1), backend("emoji-svc-west", 0)])),
        ]));
        let there = mutated(&world, Some(&old), &new);
        assert_eq!(weights(&there)[1..], [vec![0, 1], vec![0, 1]], "{beta}");
        assert_eq!(weights(&there)[0][0], 1);
        assert_eq!(validation(&world, Some(&old), &there).errors, []);
        assert_eq!(mutated(&world, Some(&old), &there), there, "called again");
        let state = State::parse(&there.annotations()[annotations::STATE]).unwrap();
        assert_eq!(state.sets["#1"].primary.as_deref(), Some("emoji-svc"));
        // The primaries are those to which traffic returns.
        let managed = ManagedObject::read(Kind::HttpRoute, &there, &world.defaults);
        let primaries = |set: &ManagedSet| set.intent.primaries().next().unwrap().to_owned();
        let primaries: Vec<_> = managed.readable().iter().map(primaries).collect();
        assert_eq!(primaries, ["web-svc", "emoji-svc", "emoji-svc"]);
    }
}

#[test]
fn an_edit_that_ends_the_failover_of_a_rule_is_refused_while_its_fallback_is_ready() {
    let mut world = world();
    let old = failed_over(&mut world);
    // Named for one rule only: the others are left alone, with their weights on a backend that is down.
    let named = |primaries: &str| {
        let mut new = old.clone();
        let primary = (annotations::PRIMARY_SERVICE.to_owned(), primaries.to_owned());
        new.annotations_mut().extend([primary]);
        new
    };
    let there = mutated(&world, Some(&old), &named("web-svc"));
    assert_eq!(weights(&there), [vec![9, 0], vec![1, 0], vec![5]]);
    let errors = validation(&world, Some(&old), &there).errors;
    assert_eq!(errors.len(), 2, "{errors:?}");
    let messages = errors[0].to_string();
    assert!(
        messages.contains("9 for emoji-svc, expected 0 while traffic is on emoji-svc-west"),
        "{messages}"
    );
    assert!(messages.contains("primary-service name its primary too"), "{messages}");

    let both = mutated(&world, Some(&old), &named("web-svc,emoji-svc"));
    assert_eq!(weights(&both), weights(&old));
    assert_eq!(validation(&world, Some(&old), &both).errors, []);
    // With nothing ready beside it, or nothing known, the edit may be a fix.
    world.set_ready("emoji-svc-west", 0);
    let passed = validation(&world, Some(&old), &there);
    assert_eq!((passed.errors.len(), passed.warnings.is_empty()), (0, false));
    world.set_ready("emoji-svc-west", 1);
    world.index.synced.set(WatchedResource::EndpointSlices, false);
    assert_eq!(validation(&world, Some(&old), &there).errors, []);
}

#[test]
fn a_fix_in_an_outage_is_never_blocked() {
    let mut world = world();
    let old = failed_over(&mut world);
    let refused = |rule: Value| {
        let mut new = old.clone();
        new.data["spec"]["rules"][0]["backendRefs"] = rule;
        let there = mutated(&world, Some(&old), &new);
        !validation(&world, Some(&old), &there).errors.is_empty()
    };
    let (dead, third) = (backend("emoji-svc", 9), backend("web-svc", 1));
    assert!(!refused(json!([third])), "both replaced by a ready third");
    assert!(!refused(json!([dead, third])), "the fallback replaced by a ready third");
    assert!(!refused(json!([third, backend("emoji-svc-west", 0)])), "the primary replaced");
    assert!(!refused(json!([backend("emoji-svc-west", 1)])), "the primary removed");
    assert!(refused(json!([dead])), "only the dead one is left");

    let mut paused = stored(two_rules());
    paused.annotations_mut().insert(annotations::PAUSED.into(), "true".into());
    assert_eq!(validation(&world, Some(&old), &paused).errors, []);
    let mut unlabelled = stored(two_rules());
    unlabelled.labels_mut().clear();
    assert_eq!(validation(&world, Some(&old), &unlabelled).errors, []);
    let mut without = old.clone();
    without.data["spec"]["rules"].as_array_mut().unwrap().remove(0);
    let without = mutated(&world, Some(&old), &without);
    assert_eq!(validation(&world, Some(&old), &without).errors, [], "the rule goes");
}

#[test]
fn a_new_order_of_backends_in_an_outage_keeps_the_primary_with_a_note() {
    let mut world = world();
    let old = failed_over(&mut world);
    let mut new = stored(two_rules());
    for rule in 0..2 {
        new.data["spec"]["rules"][rule]["backendRefs"].as_array_mut().unwrap().reverse();
    }
    let mutation = mutate(Some(&old), &new, &world.view());
    let messages = mutation.notes.join("\n");
    let note = "the first backend is emoji-svc-west now; the primary is still emoji-svc, while traffic is off it";
    assert!(messages.contains(note), "{messages}");
    let there = mutated(&world, Some(&old), &new);
    assert_eq!(there.annotations()[annotations::PRIMARY_SERVICE], "emoji-svc");
    let primary = |route: &DynamicObject| Kind::HttpRoute.read(route).primaries()["#0"].clone();
    assert_eq!(primary(&there), ["emoji-svc"]);
    // After the outage the same order keeps the primary, and another order changes it.
    let mut back = there.clone();
    let mut state = State::parse(&back.annotations()[annotations::STATE]).unwrap();
    for set in state.sets.values_mut() {
        set.active = vec!["emoji-svc".into()];
    }
    back.annotations_mut().insert(annotations::STATE.into(), state.to_annotation());
    assert_eq!(primary(&mutated(&world, Some(&back), &new)), ["emoji-svc"]);
    let mut third = new.clone();
    third.data["spec"]["rules"][0]["backendRefs"][0] = backend("web-svc", 1);
    assert_eq!(primary(&mutated(&world, Some(&back), &third)), ["web-svc"]);
}

/// A route of an earlier version: one primary for all rules, which only two of them have.
fn stored_by_an_earlier_version() -> DynamicObject {
    let mut route = stored(http_route(&[
        ("/canary", json!([backend("web-canary", 1), backend("web-svc", 0)])),
        ("/web", json!([backend("web-svc", 1), backend("emoji-svc", 0)])),
        ("/half", json!([backend("emoji-svc", 50), backend("emoji-svc-west", 50)])),
        ("/second", json!([backend("emoji-svc", 0), backend("emoji-svc-west", 5)])),
        ("/other", json!([backend("web-svc", 0), backend("web-canary", 2)])),
    ]));
    let state = r##"{"v":1,"sets":{"#0":{"active":["web-canary"],"since":"2026-01-01T00:00:00Z",
        "weights":{"web-canary":1,"web-svc":0}},"#4":{"active":["web-canary"],
        "since":"2026-01-01T00:00:00Z","weights":{"web-canary":2,"web-svc":0}}},
        "defaultedPrimary":"web-canary","by":"r","engine":"0.2.0"}"##;
    let record =
        r##"{"v":1,"sets":{"#0":{"web-canary":1,"web-svc":0},"#4":{"web-canary":2,"web-svc":0}}}"##;
    let pairs = [
        (annotations::PRIMARY_SERVICE, "web-canary"),
        (annotations::STATE, state),
        (annotations::AUTHORED_WEIGHTS, record),
    ];
    route.metadata.annotations = Some(pairs.map(|(k, v)| (k.to_owned(), v.to_owned())).into());
    route
}

#[test]
fn an_upgrade_moves_no_traffic_of_rules_that_were_not_managed() {
    let mut world = world();
    world.set_ready("web-canary", 1);
    let old = stored_by_an_earlier_version();
    let before = weights(&old);
    let primaries = |route: &DynamicObject| Kind::HttpRoute.read(route).primaries();
    let expected =
        [("#0", "web-canary"), ("#1", "web-svc"), ("#3", "emoji-svc-west"), ("#4", "web-canary")];
    let expected = || expected.map(|(set, name)| (set.to_owned(), vec![name.to_owned()])).into();
    assert_eq!(primaries(&old), expected());
    // A manifest that is applied again moves none either, whatever is ready.
    let mut again = old.clone();
    again.metadata.annotations = None;
    let there = mutated(&world, Some(&old), &again);
    assert_eq!(weights(&there), before);
    assert_eq!(primaries(&there), expected());
    let validated = validation(&world, Some(&old), &there);
    assert_eq!(validated.errors, []);
    let messages: Vec<String> = validated.warnings.iter().map(ToString::to_string).collect();
    assert!(
        messages.iter().any(|s| s.starts_with("spec.rules[2].backendRefs: found emoji-svc with weight 50, emoji-svc-west with weight 50, expected one backend with weight, or the primaries of this rule in")),
        "{messages:?}"
    );
    // A rule fails over once its author names its primary.
    let mut named = there.clone();
    let names = "web-canary,web-svc,emoji-svc,emoji-svc-west";
    named.annotations_mut().insert(annotations::PRIMARY_SERVICE.into(), names.into());
    let named = mutated(&world, Some(&there), &named);
    assert_eq!(weights(&named)[2], [50, 50]);
    assert!(
        !validation(&world, Some(&there), &named)
            .warnings
            .iter()
            .any(|w| w.field.to_string().contains("[2]"))
    );
}
