//! What is denied in a route, and what is warned about.

use crate::admission::route_test_support::{
    backend, http_route, mutated, two_rules, validation, warnings, world,
};
use crate::admission::test_support::{NAMESPACE, split, stored};
use crate::engine::annotations;
use crate::index::grants::GrantFacts;
use crate::index::profile_facts::ProfileFacts;
use crate::index::service_facts::ServiceFacts;
use crate::kinds::adapter::InUse;
use crate::kinds::{Kind, ObjectKey, route};
use kube::ResourceExt;
use serde_json::{Value, json};

#[test]
fn a_port_that_the_backend_does_not_have_is_refused() {
    let mut route = two_rules();
    route.data["spec"]["rules"][1]["backendRefs"][1]["port"] = json!(9090);
    let errors = validation(&world(), None, &route).errors;
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
    assert_eq!(
        validation(&world, None, &matters).errors[0].field,
        "spec.rules[1].backendRefs[1].name"
    );
    assert_eq!(validation(&world, None, &route(json!([backend("gone", 0)]))).errors, []);
}

#[test]
fn a_backend_of_another_namespace_is_allowed_with_a_warning_of_its_missing_grant() {
    let mut world = world();
    let other = json!({"name": "emoji-svc", "namespace": "other", "port": 8080, "weight": 0});
    let route = http_route(&[("/", json!([backend("emoji-svc", 1), other]))]);
    let service = json!({"spec": {"ports": [{"name": "grpc", "port": 8080}]}});
    let facts = ServiceFacts::read(&serde_json::from_value(service).unwrap());
    world.index.set_service(ObjectKey::new("other", "emoji-svc"), facts);
    let messages = warnings(&world, &route).join("\n");
    assert!(messages.contains("spec.rules[0].backendRefs[1].namespace: found \"other\", where no ReferenceGrant allows it"), "{messages}");
    let there = mutated(&world, None, &route);
    assert!(there.annotations()[annotations::AUTHORED_WEIGHTS].contains(r#""other/emoji-svc":0"#));

    let grant = json!({"metadata": {"name": "g"}, "spec": {
        "from": [{"kind": "HTTPRoute", "namespace": NAMESPACE}], "to": [{"kind": "Service"}]}});
    let grant = GrantFacts::read(&serde_json::from_value(grant).unwrap());
    world.index.set_grant(ObjectKey::new("other", "g"), grant);
    assert!(!warnings(&world, &route).join("").contains("ReferenceGrant"));
}

#[test]
fn a_profile_that_takes_precedence_is_warned_about() {
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
        let messages = warnings(&world, &two_rules()).join("\n");
        assert_eq!(
            messages.contains("Linkerd follows the profile and not this route"),
            hides,
            "{spec}: {messages}"
        );
    }
}

#[test]
fn a_split_on_the_same_apex_is_warned_about_and_the_older_wins() {
    let mut world = world();
    world.kind = Kind::TrafficSplit;
    let split = split(&[("emoji-svc", json!(1)), ("emoji-svc-west", json!(0))], &[]);
    world.manage("older", &stored(split));
    world.kind = Kind::HttpRoute;
    let messages = warnings(&world, &two_rules()).join("\n");
    assert!(messages.contains("the apex of TrafficSplit older too"), "{messages}");
    assert!(messages.contains("TrafficSplit older is the older"), "{messages}");
    // The author of the older one is warned too: the other decides in its place.
    let mut old = stored(two_rules());
    old.metadata.creation_timestamp =
        Some(serde_json::from_value(json!("1969-01-01T00:00:00Z")).unwrap());
    let messages = warnings(&world, &old).join("\n");
    assert!(
        messages.contains("Linkerd follows the TrafficSplit")
            && messages.contains("this one is the older"),
        "{messages}"
    );
}

#[test]
fn two_routes_of_one_kind_share_an_apex_and_of_two_kinds_one_wins() {
    let mut world = world();
    world.manage("older", &stored(two_rules()));
    assert!(!warnings(&world, &two_rules()).join("").contains("the apex of"));
    world.kind = Kind::GrpcRoute;
    let messages = warnings(&world, &two_rules()).join("\n");
    assert!(messages.contains("the apex of HTTPRoute older too"), "{messages}");
    assert!(messages.contains("Linkerd follows the GRPCRoute alone"), "{messages}");
}

#[test]
fn a_route_that_flagger_owns_is_refused_and_one_that_linkerd_did_not_accept_is_warned_about() {
    let mut owned = two_rules();
    owned.metadata.owner_references = serde_json::from_value(json!([
        {"apiVersion": "flagger.app/v1beta1", "kind": "Canary", "name": "emoji", "uid": "u"}]))
    .unwrap();
    let validated = validation(&world(), None, &owned);
    assert!(validated.errors[0].to_string().contains("Canary emoji, of Flagger"), "{validated:?}");
    // The problem is preexisting: a fix of something else is not blocked.
    assert_eq!(validation(&world(), Some(&stored(owned.clone())), &stored(owned)).errors, []);

    let mut refused = two_rules();
    refused.data["status"] = json!({"parents": [{
        "controllerName": "linkerd.io/policy-controller", "parentRef": {"name": "emoji-svc"},
        "conditions": [{"type": "Accepted", "status": "False", "reason": "NoMatchingParent"}]}]});
    assert!(matches!(route::in_use(&refused), InUse::No(_)));
    let messages = warnings(&world(), &refused).join("\n");
    assert!(messages.contains("Accepted is False: NoMatchingParent"), "{messages}");
}
