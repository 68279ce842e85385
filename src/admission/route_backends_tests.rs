//! Backends of a rule: one alone, a Service with two ports, what is no Service.

use crate::admission::route_test_support::{
    backend, http_route, mutated, two_rules, weights, world,
};
use crate::admission::test_support::{stored, validate};
use crate::engine::annotations;
use crate::kinds::Kind;
use kube::ResourceExt;
use kube::core::DynamicObject;
use serde_json::json;

/// A rule with one backend, which failed over until now, beside one that does.
fn one_alone() -> DynamicObject {
    http_route(&[
        ("/api", json!([backend("emoji-svc", 9), backend("emoji-svc-west", 0)])),
        ("/off", json!([backend("emoji-svc", 0)])),
    ])
}

#[test]
fn a_rule_with_one_backend_is_never_written() {
    let (up, mut down) = (world(), world());
    down.set_ready("emoji-svc", 0);
    for (first, second) in [(&up, &down), (&down, &up)] {
        let born = mutated(first, None, &one_alone());
        assert_eq!(weights(&born)[1], [0], "at birth");
        let old = stored(born);
        let again = mutated(second, Some(&old), &stored(one_alone()));
        assert_eq!(weights(&again)[1], [0], "applied again");
        let mut edited = old.clone();
        edited.data["spec"]["rules"][1]["backendRefs"][0]["weight"] = json!(7);
        let edited = mutated(second, Some(&old), &edited);
        assert_eq!(weights(&edited)[1], [7], "as its author has it");
        let mut released = old.clone();
        released.labels_mut().clear();
        let released = mutated(second, Some(&old), &released);
        assert_eq!(weights(&released), [vec![9, 0], vec![0]], "when the label goes");
        let state = Kind::HttpRoute.read(&old).state().cloned().unwrap();
        assert_eq!(state.sets.keys().collect::<Vec<_>>(), ["#0"]);
    }
}

#[test]
fn a_rule_that_loses_its_fallback_keeps_the_weight_that_its_author_gives_it() {
    let mut world = world();
    world.set_ready("emoji-svc", 0);
    let old = stored(mutated(&world, None, &two_rules()));
    assert_eq!(weights(&old)[0], [0, 1]);
    let mut new = old.clone();
    new.data["spec"]["rules"][0]["backendRefs"] = json!([backend("emoji-svc", 0)]);
    let new = mutated(&world, Some(&old), &new);
    assert_eq!(weights(&new)[..2], [vec![0], vec![0, 1]]);
}

#[test]
fn the_same_service_with_two_ports_in_a_rule_is_two_backends() {
    let port =
        |name: &str, port: u16, weight: u32| json!({"name": name, "port": port, "weight": weight});
    let mut world = world();
    let two = json!({"spec": {"ports": [
        {"name": "grpc", "port": 8080}, {"name": "http", "port": 9090},
    ]}});
    world.service("emoji-svc", two);
    let rules = http_route(&[(
        "/",
        json!([
            port("emoji-svc", 8080, 3),
            port("emoji-svc", 9090, 0),
            port("emoji-svc-west", 8080, 0)
        ]),
    )]);
    assert_eq!(validate(None, &rules, &world.view()).errors, []);
    let born = mutated(&world, None, &rules);
    assert_eq!(born.annotations()[annotations::PRIMARY_SERVICE], "emoji-svc:8080");
    let recorded = Kind::HttpRoute.read(&born).recorded().cloned().unwrap();
    let names: Vec<_> = recorded["#0"].keys().map(String::as_str).collect();
    assert_eq!(names, ["emoji-svc-west", "emoji-svc:8080", "emoji-svc:9090"]);

    // Named in an annotation where the name alone is clear, and where it is not.
    for (name, value, expected) in [
        (annotations::PRIMARY_SERVICE, "emoji-svc:9090", None),
        (annotations::FALLBACK_ORDER, "emoji-svc-west,emoji-svc:9090", None),
        (annotations::FALLBACK_ORDER, "emoji-svc-west:8080", None),
        (annotations::MIN_READY, "emoji-svc:9090=2", None),
        (annotations::PIN, "emoji-svc:9090", None),
        (annotations::PRIMARY_SERVICE, "emoji-svc", Some("emoji-svc:8080 or emoji-svc:9090")),
        (annotations::PIN, "emoji-svc", Some("emoji-svc:8080 or emoji-svc:9090")),
        (annotations::PIN, "emoji-svc:80", Some("one of the backends (emoji-svc:8080")),
    ] {
        let mut rules = rules.clone();
        rules.annotations_mut().insert(name.into(), value.into());
        let errors = validate(None, &rules, &world.view()).errors;
        let found = errors.first().map(ToString::to_string);
        match expected {
            None => assert_eq!(found, None, "{name}={value}"),
            Some(expected) => {
                assert!(found.as_ref().is_some_and(|found| found.contains(expected)), "{found:?}");
            }
        }
    }
    let again =
        http_route(&[("/", json!([port("emoji-svc", 8080, 3), port("emoji-svc", 8080, 0)]))]);
    let errors = validate(None, &again, &world.view()).errors;
    assert!(errors[0].to_string().contains("has already"), "{errors:?}");
}

#[test]
fn a_second_port_that_is_added_in_a_failover_moves_no_traffic() {
    let mut world = world();
    world.set_ready("emoji-svc", 0);
    let old = stored(mutated(&world, None, &two_rules()));
    let mut new = old.clone();
    let refs = json!([backend("emoji-svc", 0), backend("emoji-svc-west", 1),
        {"name": "emoji-svc-west", "port": 9090, "weight": 0}]);
    new.data["spec"]["rules"][0]["backendRefs"] = refs;
    let added = mutated(&world, Some(&old), &new);
    assert_eq!(weights(&added)[0], [0, 1, 0]);
    let state = Kind::HttpRoute.read(&added).state().cloned().unwrap();
    assert_eq!(state.sets["#0"].active, ["emoji-svc-west:8080"]);
    assert_eq!(Kind::HttpRoute.read(&added).recorded().cloned().unwrap()["#0"]["emoji-svc"], 9);
    // And taken away again.
    let gone = mutated(&world, Some(&stored(added)), &old);
    assert_eq!(
        Kind::HttpRoute.read(&gone).state().cloned().unwrap().sets["#0"].active,
        ["emoji-svc-west"]
    );
}

#[test]
fn an_egress_network_under_a_service_is_refused_with_the_reason() {
    let egress = json!({"group": "policy.linkerd.io", "kind": "EgressNetwork", "name": "all",
        "port": 443, "weight": 0});
    let route = http_route(&[("/", json!([backend("emoji-svc", 1), egress]))]);
    let errors = validate(None, &route, &world().view()).errors;
    let message = errors[0].to_string();
    assert!(message.contains("only where that same EgressNetwork is the parent"), "{message}");
    assert!(!message.contains("Linkerd sends to Services only"), "{message}");
}
