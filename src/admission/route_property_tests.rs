//! Properties of the mutating webhook over generated routes.

use crate::admission::route_test_support::{backend, http_route, mutated, weights};
use crate::admission::test_support::{World, stored};
use crate::engine::annotations;
use crate::kinds::Kind;
use kube::ResourceExt;
use kube::core::DynamicObject;
use proptest::prelude::*;
use serde_json::{Value, json};

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
        // Some names occur twice: the API allows that.
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
    /// Whatever an author does to the rules of a route: a second call of the webhook changes nothing,
    /// only weights are changed, no failover set is all zero, and an edit that repeats the rules moves
    /// no traffic.
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

        // A rule that gets a name or loses it keeps the authored weights.
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
            // The weight of the only backend of a rule has no effect.
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
