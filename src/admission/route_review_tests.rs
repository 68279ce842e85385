//! Routes in admission: the same rules as for splits, rule by rule.

use super::mutate::mutate;
use super::test_support::{LABEL, NAMESPACE, World, stored};
use super::validate::{Verdict, validate};
use crate::cluster::profiles::ProfileFacts;
use crate::failover::{State, annotations};
use crate::resources::{Kind, ObjectKey, route};
use kube::ResourceExt;
use kube::core::DynamicObject;
use proptest::prelude::*;
use serde_json::{Value, json};

fn world() -> World {
    let mut world = World::with(&[("emoji-svc", 1), ("emoji-svc-west", 1), ("web-svc", 1)]);
    world.kind = Kind::HttpRoute;
    world
}

fn backend(name: &str, weight: u32) -> Value {
    json!({"name": name, "port": 8080, "weight": weight})
}

/// A managed route with these rules, each a path and its backends.
fn http_route(rules: &[(&str, Value)]) -> DynamicObject {
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

fn two_rules() -> DynamicObject {
    http_route(&[
        ("/api", json!([backend("emoji-svc", 9), backend("emoji-svc-west", 0)])),
        ("/", json!([backend("emoji-svc", 1), backend("emoji-svc-west", 0)])),
        ("/web", json!([backend("web-svc", 5)])),
    ])
}

/// The object as it is after the mutating webhook.
fn mutated(world: &World, old: Option<&DynamicObject>, new: &DynamicObject) -> DynamicObject {
    let mut json = serde_json::to_value(new).unwrap();
    let edit = mutate(old, new, &world.view()).edit;
    json_patch::patch(&mut json, &edit.into_patch()).unwrap();
    serde_json::from_value(json).unwrap()
}

fn weights(route: &DynamicObject) -> Vec<Vec<u64>> {
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

fn judged(world: &World, old: Option<&DynamicObject>, new: &DynamicObject) -> Verdict {
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
    // Where the mutating webhook was skipped the validating one refuses.
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
    // The new rule is decided anew, the other is still failed over.
    assert_eq!(weights(&there), [vec![4, 0], vec![5], vec![0, 1]]);
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
fn taking_the_label_off_gives_the_authors_weights_back_to_every_rule() {
    let mut world = world();
    let old = failed_over(&mut world);
    let mut new = old.clone();
    new.labels_mut().clear();
    let mutation = mutate(Some(&old), &new, &world.view());
    assert!(
        mutation.said[0].contains("emoji-svc gets traffic again and is not ready"),
        "{:?}",
        mutation.said
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
        crate::cluster::services::ServiceFacts::read(&serde_json::from_value(service).unwrap());
    world.index.set_service(ObjectKey::new("other", "emoji-svc"), facts);
    let said = warnings(&world, &route).join("\n");
    assert!(said.contains("spec.rules[0].backendRefs[1].namespace: found \"other\", where no ReferenceGrant allows it"), "{said}");
    let there = mutated(&world, None, &route);
    assert!(there.annotations()[annotations::AUTHORED_WEIGHTS].contains(r#""other/emoji-svc":0"#));

    let grant = json!({"metadata": {"name": "g"}, "spec": {
        "from": [{"kind": "HTTPRoute", "namespace": NAMESPACE}], "to": [{"kind": "Service"}]}});
    let grant = crate::cluster::GrantFacts::read(&serde_json::from_value(grant).unwrap());
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
    let split =
        super::test_support::split(&[("emoji-svc", json!(1)), ("emoji-svc-west", json!(0))], &[]);
    world.manage("older", &stored(split));
    world.kind = Kind::HttpRoute;
    let said = warnings(&world, &two_rules()).join("\n");
    assert!(said.contains("the apex of TrafficSplit older too"), "{said}");
    assert!(said.contains("TrafficSplit older is the older"), "{said}");
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
    assert!(matches!(route::in_use(&refused), route::InUse::No(_)));
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
    let mut named = vec![];
    for (i, (path, has_name, _)) in rules.iter().enumerate() {
        // The API takes a name once.
        if *has_name && !named.contains(path) {
            named.push(*path);
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

        let mut new = old.clone();
        new.data["spec"] = of_rules(&second).data["spec"].clone();
        if !labelled {
            new.labels_mut().clear();
        }
        let once = mutated(&after, Some(&old), &new);
        prop_assert_eq!(&mutated(&after, Some(&old), &once), &once);
        prop_assert_eq!(without_weights(&once), without_weights(&new));
        if labelled && let Ok(intents) = after.view().intents(&Kind::HttpRoute.read(&once)) {
            for intent in intents {
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
