//! Routes in admission: the same rules as for splits, rule by rule.

use crate::admission::test_support::{LABEL, NAMESPACE, World, mutate, stored, validate};
use crate::admission::validate::Validation;
use crate::engine::{State, annotations};
use crate::index::managed_object::{ManagedObject, ManagedSet};
use crate::index::profile_facts::ProfileFacts;
use crate::index::resource::WatchedResource;
use crate::kinds::{Kind, ObjectKey, route};
use kube::ResourceExt;
use kube::core::DynamicObject;
use proptest::prelude::*;
use serde_json::{Value, json};

pub(crate) fn world() -> World {
    let mut world = World::with(&[("emoji-svc", 1), ("emoji-svc-west", 1), ("web-svc", 1)]);
    world.kind = Kind::HttpRoute;
    world
}

pub(crate) fn backend(name: &str, weight: u32) -> Value {
    json!({"name": name, "port": 8080, "weight": weight})
}

/// A managed route with these rules, each a path and its backends.
pub(crate) fn http_route(rules: &[(&str, Value)]) -> DynamicObject {
    let rules: Vec<_> = rules
        .iter()
        .map(|(path, backends)| {
            json!({"matches": [{"path": {"value": path}}], "backendRefs": backends,
                "filters": [{"type": "RequestHeaderModifier"}], "timeouts": {"request": "1s"}})
        })
        .collect();
    serde_json::from_value(json!({
        "apiVersion": "gateway.networking.k8s.io/v1",
        "kind": "HTTPRoute",
        "metadata": {"name": "emoji", "namespace": NAMESPACE, "labels": {LABEL: "linkerd-failover"}},
        "spec": {
            "parentRefs": [{"group": "core", "kind": "Service", "name": "emoji-svc", "port": 8080}],
            "rules": rules,
        },
    }))
    .unwrap()
}

pub(crate) fn two_rules() -> DynamicObject {
    http_route(&[
        ("/api", json!([backend("emoji-svc", 9), backend("emoji-svc-west", 0)])),
        ("/", json!([backend("emoji-svc", 1), backend("emoji-svc-west", 0)])),
        ("/web", json!([backend("web-svc", 5)])),
    ])
}

/// The object as it is after the mutating webhook.
pub(crate) fn mutated(
    world: &World,
    old: Option<&DynamicObject>,
    new: &DynamicObject,
) -> DynamicObject {
    let mut json = serde_json::to_value(new).unwrap();
    let edit = mutate(old, new, &world.view()).edit;
    json_patch::patch(&mut json, &edit.into_patch()).unwrap();
    serde_json::from_value(json).unwrap()
}

pub(crate) fn weights(route: &DynamicObject) -> Vec<Vec<u64>> {
    let rules = route.data["spec"]["rules"].as_array().unwrap();
    let refs = |rule: &Value| rule["backendRefs"].as_array().unwrap().clone();
    let weights = |rule| refs(rule).iter().map(|b| b["weight"].as_u64().unwrap()).collect();
    rules.iter().map(weights).collect()
}

/// The route as it is stored after it was created, and then failed over in full.
fn failed_over(world: &mut World) -> DynamicObject {
    world.set_ready("emoji-svc", 0);
    stored(mutated(world, None, &two_rules()))
}

fn judged(world: &World, old: Option<&DynamicObject>, new: &DynamicObject) -> Validation {
    validate(old, new, &world.view())
}

fn warnings(world: &World, new: &DynamicObject) -> Vec<String> {
    judged(world, None, new).warnings.iter().map(ToString::to_string).collect()
}

#[test]
fn a_new_route_is_defaulted_and_every_rule_starts_where_it_can_be_served() {
    let mut world = world();
    let there = mutated(&world, None, &two_rules());
    assert_eq!(there.annotations()[annotations::PRIMARY_SERVICE], "emoji-svc");
    assert_eq!(weights(&there), [vec![9, 0], vec![1, 0], vec![5]]);
    world.set_ready("emoji-svc", 0);
    let there = mutated(&world, None, &two_rules());
    assert_eq!(weights(&there), [vec![0, 1], vec![0, 1], vec![5]]);
    assert_eq!(
        there.annotations()[annotations::AUTHORED_WEIGHTS],
        r##"{"v":1,"sets":{"#0":{"emoji-svc":9,"emoji-svc-west":0},"#1":{"emoji-svc":1,"emoji-svc-west":0}}}"##
    );
    assert_eq!(mutated(&world, None, &there), there, "mutate(mutate(x)) == mutate(x)");
    assert_eq!(judged(&world, None, &there).errors, []);
}

#[test]
fn applying_the_manifest_again_keeps_every_rule_where_it_is() {
    let mut world = world();
    let old = failed_over(&mut world);
    world.set_ready("emoji-svc", 1);
    // `replace`: the annotations are gone too.
    let there = mutated(&world, Some(&old), &stored(two_rules()));
    assert_eq!(there.data, old.data);
    assert_eq!(there.annotations(), old.annotations(), "without a trace");
    assert_eq!(judged(&world, Some(&old), &there).errors, []);
    // Where the mutating webhook was skipped the validating one refuses what would go to the dead.
    let passed = judged(&world, Some(&old), &stored(two_rules()));
    assert_eq!((passed.errors.len(), passed.warnings.len()), (0, 2), "{passed:?}");
    world.set_ready("emoji-svc", 0);
    let errors = judged(&world, Some(&old), &stored(two_rules())).errors;
    assert_eq!(errors.len(), 2, "{errors:?}");
    assert_eq!(errors[0].field, "spec.rules[0].backendRefs[0].weight");
}

#[test]
fn rules_that_are_inserted_moved_and_removed_keep_what_is_theirs() {
    let mut world = world();
    let old = failed_over(&mut world);
    world.set_ready("emoji-svc", 1);
    let new = stored(http_route(&[
        ("/new", json!([backend("emoji-svc", 4), backend("emoji-svc-west", 2)])),
        ("/web", json!([backend("web-svc", 5)])),
        ("/api", json!([backend("emoji-svc", 9), backend("emoji-svc-west", 0)])),
    ]));
    let there = mutated(&world, Some(&old), &new);
    // By its backends the first is the rule that matched everything.
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
    // As an editor sends it: with the live weights.
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
        assert_eq!(judged(&world, Some(&old), &there).errors, []);
        assert_eq!(mutated(&world, Some(&old), &there), there, "called again");
        let state = State::parse(&there.annotations()[annotations::STATE]).unwrap();
        assert_eq!(state.sets["#1"].primary.as_deref(), Some("emoji-svc"));
        // Once the primary is back traffic returns to it.
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
    // Named for one rule only: the others are left alone, with their weights on what is down.
    let named = |primaries: &str| {
        let mut new = old.clone();
        let primary = (annotations::PRIMARY_SERVICE.to_owned(), primaries.to_owned());
        new.annotations_mut().extend([primary]);
        new
    };
    let there = mutated(&world, Some(&old), &named("web-svc"));
    assert_eq!(weights(&there), [vec![9, 0], vec![1, 0], vec![5]]);
    let errors = judged(&world, Some(&old), &there).errors;
    assert_eq!(errors.len(), 2, "{errors:?}");
    let said = errors[0].to_string();
    assert!(
        said.contains("9 for emoji-svc, expected 0 while traffic is on emoji-svc-west"),
        "{said}"
    );
    assert!(said.contains("primary-service name its primary too"), "{said}");

    let both = mutated(&world, Some(&old), &named("web-svc,emoji-svc"));
    assert_eq!(weights(&both), weights(&old));
    assert_eq!(judged(&world, Some(&old), &both).errors, []);
    // With nothing ready beside it, or nothing known, it may be a fix.
    world.set_ready("emoji-svc-west", 0);
    let passed = judged(&world, Some(&old), &there);
    assert_eq!((passed.errors.len(), passed.warnings.is_empty()), (0, false));
    world.set_ready("emoji-svc-west", 1);
    world.index.synced.set(WatchedResource::EndpointSlices, false);
    assert_eq!(judged(&world, Some(&old), &there).errors, []);
}

#[test]
fn a_fix_in_an_outage_is_never_blocked() {
    let mut world = world();
    let old = failed_over(&mut world);
    let refused = |rule: Value| {
        let mut new = old.clone();
        new.data["spec"]["rules"][0]["backendRefs"] = rule;
        let there = mutated(&world, Some(&old), &new);
        !judged(&world, Some(&old), &there).errors.is_empty()
    };
    let (dead, third) = (backend("emoji-svc", 9), backend("web-svc", 1));
    assert!(!refused(json!([third])), "both replaced by a ready third");
    assert!(!refused(json!([dead, third])), "the fallback replaced by a ready third");
    assert!(!refused(json!([third, backend("emoji-svc-west", 0)])), "the primary replaced");
    assert!(!refused(json!([backend("emoji-svc-west", 1)])), "the primary removed");
    assert!(refused(json!([dead])), "only the dead one is left");

    let mut paused = stored(two_rules());
    paused.annotations_mut().insert(annotations::PAUSED.into(), "true".into());
    assert_eq!(judged(&world, Some(&old), &paused).errors, []);
    let mut unlabelled = stored(two_rules());
    unlabelled.labels_mut().clear();
    assert_eq!(judged(&world, Some(&old), &unlabelled).errors, []);
    let mut without = old.clone();
    without.data["spec"]["rules"].as_array_mut().unwrap().remove(0);
    let without = mutated(&world, Some(&old), &without);
    assert_eq!(judged(&world, Some(&old), &without).errors, [], "the rule goes");
}

#[test]
fn the_order_of_backends_changed_in_an_outage_leaves_the_primary_and_says_so() {
    let mut world = world();
    let old = failed_over(&mut world);
    let mut new = stored(two_rules());
    for rule in 0..2 {
        new.data["spec"]["rules"][rule]["backendRefs"].as_array_mut().unwrap().reverse();
    }
    let mutation = mutate(Some(&old), &new, &world.view());
    let said = mutation.notes.join("\n");
    let note = "the first backend is emoji-svc-west now; the primary is still emoji-svc, while traffic is off it";
    assert!(said.contains(note), "{said}");
    let there = mutated(&world, Some(&old), &new);
    assert_eq!(there.annotations()[annotations::PRIMARY_SERVICE], "emoji-svc");
    let primary = |route: &DynamicObject| Kind::HttpRoute.read(route).primaries()["#0"].clone();
    assert_eq!(primary(&there), ["emoji-svc"]);
    // Applied again after the outage it stays where it is, and another order counts again.
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

#[test]
fn each_rule_has_its_own_first_backend_as_primary_and_the_webhook_says_so() {
    let world = world();
    let route = http_route(&[
        ("/canary", json!([backend("web-svc", 1)])),
        ("/", json!([backend("emoji-svc", 1), backend("emoji-svc-west", 0)])),
        ("/west", json!([backend("emoji-svc-west", 3), backend("emoji-svc", 2)])),
    ]);
    let said = mutate(None, &route, &world.view()).notes.join("\n");
    assert!(said.contains("rule #1: failover.linkerd.io/primary-service was not set: the first backend, emoji-svc, is the primary"), "{said}");
    assert!(said.contains("rule #2: failover.linkerd.io/primary-service was not set: the first backend, emoji-svc-west, is the primary; emoji-svc gets traffic only without it"), "{said}");
    let there = mutated(&world, None, &route);
    assert_eq!(weights(&there), [vec![1], vec![1, 0], vec![3, 0]]);
    assert!(!there.annotations().contains_key(annotations::PRIMARY_SERVICE), "none is that of all");
    assert_eq!(mutated(&world, None, &there), there, "called again");
    let primaries = Kind::HttpRoute.read(&there).primaries();
    assert_eq!((&*primaries["#1"][0], &*primaries["#2"][0]), ("emoji-svc", "emoji-svc-west"));
}

#[test]
fn rules_without_a_named_primary_are_left_alone_and_the_webhook_says_which() {
    let mut route = http_route(&[
        ("/", json!([backend("emoji-svc", 1), backend("emoji-svc-west", 0)])),
        ("/web", json!([backend("web-svc", 1), backend("emoji-svc-west", 1)])),
        ("/one", json!([backend("web-svc", 1)])),
    ]);
    let primary = (annotations::PRIMARY_SERVICE.to_owned(), "emoji-svc".to_owned());
    route.metadata.annotations = Some([primary].into());
    let world = world();
    let there = mutated(&world, None, &route);
    assert_eq!(weights(&there)[1..], [vec![1, 1], vec![1]]);
    let said = warnings(&world, &there);
    let about: Vec<_> = said.iter().filter(|s| s.contains("is left as it is")).collect();
    assert_eq!(about.len(), 1, "{said:?}");
    assert!(about[0].starts_with("spec.rules[1].backendRefs: found web-svc, emoji-svc-west, expected a backend that failover.linkerd.io/primary-service names (emoji-svc)"), "{said:?}");
}

/// As an earlier version stored it: one primary for all rules, which only the first has.
fn from_before() -> DynamicObject {
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
    let old = from_before();
    let before = weights(&old);
    let primaries = |route: &DynamicObject| Kind::HttpRoute.read(route).primaries();
    let expected =
        [("#0", "web-canary"), ("#1", "web-svc"), ("#3", "emoji-svc-west"), ("#4", "web-canary")];
    let expected = || expected.map(|(set, name)| (set.to_owned(), vec![name.to_owned()])).into();
    assert_eq!(primaries(&old), expected());
    // Nor does a manifest that is applied again, whatever is ready.
    let mut again = old.clone();
    again.metadata.annotations = None;
    let there = mutated(&world, Some(&old), &again);
    assert_eq!(weights(&there), before);
    assert_eq!(primaries(&there), expected());
    let verdict = judged(&world, Some(&old), &there);
    assert_eq!(verdict.errors, []);
    let said: Vec<String> = verdict.warnings.iter().map(ToString::to_string).collect();
    assert!(
        said.iter().any(|s| s.starts_with("spec.rules[2].backendRefs: found emoji-svc with weight 50, emoji-svc-west with weight 50, expected one backend with weight, or the primaries of this rule in")),
        "{said:?}"
    );
    // Until its author names them.
    let mut named = there.clone();
    let names = "web-canary,web-svc,emoji-svc,emoji-svc-west";
    named.annotations_mut().insert(annotations::PRIMARY_SERVICE.into(), names.into());
    let named = mutated(&world, Some(&there), &named);
    assert_eq!(weights(&named)[2], [50, 50]);
    assert!(
        !judged(&world, Some(&there), &named)
            .warnings
            .iter()
            .any(|w| w.field.to_string().contains("[2]"))
    );
}

#[test]
fn nothing_is_given_back_that_would_leave_a_rule_without_any_weight() {
    let mut world = world();
    let old = failed_over(&mut world);
    let mut new = old.clone();
    new.labels_mut().clear();
    // The dead primary goes in the same edit, and the fallback's own weight is 0.
    new.data["spec"]["rules"][0]["backendRefs"] = json!([backend("emoji-svc-west", 1)]);
    assert_eq!(weights(&mutated(&world, Some(&old), &new)), [vec![1], vec![1, 0], vec![5]]);
}

#[test]
fn taking_the_label_off_gives_the_authors_weights_back_to_every_rule() {
    let mut world = world();
    let old = failed_over(&mut world);
    let mut new = old.clone();
    new.labels_mut().clear();
    let mutation = mutate(Some(&old), &new, &world.view());
    assert!(
        mutation.notes[0].contains("emoji-svc gets traffic again and is not ready"),
        "{:?}",
        mutation.notes
    );
    let there = mutated(&world, Some(&old), &new);
    assert_eq!(weights(&there), [vec![9, 0], vec![1, 0], vec![5]]);
    assert_eq!(there.annotations().len(), 0, "{:?}", there.annotations());
}

#[test]
fn nothing_but_weights_and_our_annotations_is_touched() {
    let world = world();
    let mut there = mutated(&world, None, &two_rules());
    there.annotations_mut().clear();
    let mut given = two_rules();
    given.metadata.annotations = Some(Default::default());
    assert_eq!(there, given);
}

#[test]
fn a_port_that_the_backend_does_not_have_is_refused() {
    let mut route = two_rules();
    route.data["spec"]["rules"][1]["backendRefs"][1]["port"] = json!(9090);
    let errors = judged(&world(), None, &route).errors;
    assert_eq!(
        errors[0].to_string(),
        "spec.rules[1].backendRefs[1].port: found 9090, and \"emoji-svc-west\" with port 8080 (grpc), expected a port of emoji-svc-west; Linkerd would take 9090 as the pods' own port"
    );
}

#[test]
fn a_missing_backend_is_refused_where_it_matters_and_not_where_the_rule_is_left_alone() {
    let world = world().missing(&["gone"]);
    let route = |backends: Value| {
        http_route(&[("/", json!([backend("emoji-svc", 1)])), ("/other", backends)])
    };
    let matters = route(json!([backend("emoji-svc", 1), backend("gone", 0)]));
    assert_eq!(judged(&world, None, &matters).errors[0].field, "spec.rules[1].backendRefs[1].name");
    assert_eq!(judged(&world, None, &route(json!([backend("gone", 0)]))).errors, []);
}

#[test]
fn a_backend_of_another_namespace_is_taken_with_a_word_about_its_grant() {
    let mut world = world();
    let other = json!({"name": "emoji-svc", "namespace": "other", "port": 8080, "weight": 0});
    let route = http_route(&[("/", json!([backend("emoji-svc", 1), other]))]);
    let service = json!({"spec": {"ports": [{"name": "grpc", "port": 8080}]}});
    let facts =
        crate::index::service_facts::ServiceFacts::read(&serde_json::from_value(service).unwrap());
    world.index.set_service(ObjectKey::new("other", "emoji-svc"), facts);
    let said = warnings(&world, &route).join("\n");
    assert!(said.contains("spec.rules[0].backendRefs[1].namespace: found \"other\", where no ReferenceGrant allows it"), "{said}");
    let there = mutated(&world, None, &route);
    assert!(there.annotations()[annotations::AUTHORED_WEIGHTS].contains(r#""other/emoji-svc":0"#));

    let grant = json!({"metadata": {"name": "g"}, "spec": {
        "from": [{"kind": "HTTPRoute", "namespace": NAMESPACE}], "to": [{"kind": "Service"}]}});
    let grant = crate::index::grants::GrantFacts::read(&serde_json::from_value(grant).unwrap());
    world.index.set_grant(ObjectKey::new("other", "g"), grant);
    assert!(!warnings(&world, &route).join("").contains("ReferenceGrant"));
}

#[test]
fn a_profile_that_hides_the_route_is_told_about() {
    let mut world = world();
    let profile = |spec: Value| {
        ProfileFacts::read(
            &serde_json::from_value(json!({"metadata": {"name": "p"}, "spec": spec})).unwrap(),
        )
    };
    let name = ObjectKey::new(NAMESPACE, "emoji-svc.emojivoto.svc.cluster.local");
    for (spec, hides) in [
        (json!({}), false),
        (json!({"dstOverrides": [{"authority": "a", "weight": "0"}]}), false),
        (
            json!({"dstOverrides": [{"authority": "a", "weight": 0}, {"authority": "b", "weight": "1"}]}),
            true,
        ),
        (json!({"routes": [{"name": "GET /"}]}), true),
    ] {
        world.index.set_profile(name.clone(), profile(spec.clone()));
        let said = warnings(&world, &two_rules()).join("\n");
        assert_eq!(
            said.contains("Linkerd follows the profile and not this route"),
            hides,
            "{spec}: {said}"
        );
    }
}

#[test]
fn a_split_on_the_same_apex_is_told_about_and_the_older_wins() {
    let mut world = world();
    world.kind = Kind::TrafficSplit;
    let split = crate::admission::test_support::split(
        &[("emoji-svc", json!(1)), ("emoji-svc-west", json!(0))],
        &[],
    );
    world.manage("older", &stored(split));
    world.kind = Kind::HttpRoute;
    let said = warnings(&world, &two_rules()).join("\n");
    assert!(said.contains("the apex of TrafficSplit older too"), "{said}");
    assert!(said.contains("TrafficSplit older is the older"), "{said}");
    // Also the older of the two is told, in whose place the other steers.
    let mut old = stored(two_rules());
    old.metadata.creation_timestamp =
        Some(serde_json::from_value(json!("1969-01-01T00:00:00Z")).unwrap());
    let said = warnings(&world, &old).join("\n");
    assert!(
        said.contains("Linkerd follows the TrafficSplit") && said.contains("this one is the older"),
        "{said}"
    );
}

#[test]
fn two_routes_of_one_kind_have_an_apex_together_and_of_two_kinds_one_wins() {
    let mut world = world();
    world.manage("older", &stored(two_rules()));
    assert!(!warnings(&world, &two_rules()).join("").contains("the apex of"));
    world.kind = Kind::GrpcRoute;
    let said = warnings(&world, &two_rules()).join("\n");
    assert!(said.contains("the apex of HTTPRoute older too"), "{said}");
    assert!(said.contains("Linkerd follows the GRPCRoute alone"), "{said}");
}

#[test]
fn a_route_that_flagger_owns_is_refused_and_one_that_linkerd_did_not_accept_is_told_about() {
    let mut owned = two_rules();
    owned.metadata.owner_references = serde_json::from_value(json!([
        {"apiVersion": "flagger.app/v1beta1", "kind": "Canary", "name": "emoji", "uid": "u"}]))
    .unwrap();
    let verdict = judged(&world(), None, &owned);
    assert!(verdict.errors[0].to_string().contains("Canary emoji, of Flagger"), "{verdict:?}");
    // It was there before: a fix of something else is not blocked.
    assert_eq!(judged(&world(), Some(&stored(owned.clone())), &stored(owned)).errors, []);

    let mut refused = two_rules();
    refused.data["status"] = json!({"parents": [{
        "controllerName": "linkerd.io/policy-controller", "parentRef": {"name": "emoji-svc"},
        "conditions": [{"type": "Accepted", "status": "False", "reason": "NoMatchingParent"}]}]});
    assert!(matches!(route::in_use(&refused), crate::kinds::adapter::InUse::No(_)));
    let said = warnings(&world(), &refused).join("\n");
    assert!(said.contains("Accepted is False: NoMatchingParent"), "{said}");
}

/// A path, whether the rule has a name, and backends with their weights.
type Rule = (usize, bool, Vec<(&'static str, u32)>);

fn any_rules() -> impl Strategy<Value = Vec<Rule>> {
    let names = ["emoji-svc", "emoji-svc-west", "web-svc"];
    let backends = proptest::sample::subsequence(names.to_vec(), 0..=3).prop_shuffle();
    let backends = backends.prop_flat_map(|names| {
        let weights = proptest::collection::vec(0_u32..4, names.len());
        weights.prop_map(move |weights| names.iter().copied().zip(weights).collect())
    });
    proptest::collection::vec((0_usize..5, any::<bool>(), backends), 0..5)
}

fn of_rules(rules: &[Rule]) -> DynamicObject {
    let paths: Vec<String> = rules.iter().map(|(path, ..)| format!("/{path}")).collect();
    let refs = |backends: &Vec<(&'static str, u32)>| -> Value {
        backends.iter().map(|(name, weight)| backend(name, *weight)).collect()
    };
    let of_path: Vec<_> =
        paths.iter().zip(rules).map(|(path, rule)| (path.as_str(), refs(&rule.2))).collect();
    let mut route = http_route(&of_path);
    for (i, (path, has_name, _)) in rules.iter().enumerate() {
        // Some of them more than once: the API takes that.
        if *has_name {
            route.data["spec"]["rules"][i]["name"] = json!(format!("rule-{path}"));
        }
    }
    route
}

fn any_world() -> impl Strategy<Value = World> {
    (0_usize..2, 0_usize..2, 0_usize..2).prop_map(|(a, b, c)| {
        let mut world = World::with(&[("emoji-svc", a), ("emoji-svc-west", b), ("web-svc", c)]);
        world.kind = Kind::HttpRoute;
        world
    })
}

proptest! {
    /// Whatever an author does to the rules of a route: called again the webhook changes nothing,
    /// nothing but weights is touched, no failover set is all zero, and what only repeats the rules
    /// moves no traffic.
    #[test]
    fn rules_may_be_edited_in_any_way(
        (first, second) in (any_rules(), any_rules()),
        (before, after) in (any_world(), any_world()),
        labelled in any::<bool>(),
    ) {
        let created = mutated(&before, None, &of_rules(&first));
        prop_assert_eq!(&mutated(&before, None, &created), &created);
        let old = stored(created);

        let again = mutated(&after, Some(&old), &stored(of_rules(&first)));
        if old.annotations().contains_key(annotations::STATE) {
            prop_assert_eq!(&again.data, &old.data);
        }

        // Given names, taken from it or moved about, no rule forgets what its author wrote.
        let mut renamed = old.clone();
        for rule in renamed.data["spec"]["rules"].as_array_mut().unwrap() {
            let rule = rule.as_object_mut().unwrap();
            if rule.remove("name").is_none() {
                rule.insert("name".into(), rule["matches"][0]["path"]["value"].clone());
            }
        }
        let renamed = mutated(&after, Some(&old), &renamed);
        prop_assert_eq!(weights(&renamed), weights(&old));
        let recorded = |route: &DynamicObject| {
            let sets = Kind::HttpRoute.read(route).recorded().cloned().unwrap_or_default();
            let mut weights: Vec<_> = sets.into_values().collect();
            weights.sort();
            weights
        };
        prop_assert_eq!(recorded(&renamed), recorded(&old));

        let mut new = old.clone();
        new.data["spec"] = of_rules(&second).data["spec"].clone();
        if !labelled {
            new.labels_mut().clear();
        }
        let once = mutated(&after, Some(&old), &new);
        prop_assert_eq!(&mutated(&after, Some(&old), &once), &once);
        prop_assert_eq!(without_weights(&once), without_weights(&new));
        if labelled && let Ok(intents) = after.view().intents(&Kind::HttpRoute.read(&once)) {
            // The weight of a backend that is alone in its rule means nothing.
            for intent in intents.iter().filter(|intent| !intent.is_alone()) {
                prop_assert!(intent.backends.iter().any(|b| b.live > 0), "all zero: {}", intent.set);
            }
        }
    }
}

fn without_weights(route: &DynamicObject) -> Value {
    let mut spec = route.data["spec"].clone();
    for rule in spec["rules"].as_array_mut().into_iter().flatten() {
        for backend in rule["backendRefs"].as_array_mut().into_iter().flatten() {
            backend["weight"].take();
        }
    }
    spec
}
