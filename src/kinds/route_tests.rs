use super::*;
use crate::engine::{BackendIndex, Defaults, Intent};
use serde_json::json;

fn route(spec: Value) -> DynamicObject {
    annotated(spec, json!({}))
}

fn annotated(spec: Value, annotations: Value) -> DynamicObject {
    serde_json::from_value(json!({
        "apiVersion": "gateway.networking.k8s.io/v1",
        "kind": "HTTPRoute",
        "metadata": {"name": "emoji", "namespace": "emojivoto", "annotations": annotations},
        "spec": spec,
    }))
    .unwrap()
}

fn parent() -> Value {
    json!([{"group": "core", "kind": "Service", "name": "emoji-svc", "port": 8080}])
}

fn backend(name: &str, weight: u32) -> Value {
    json!({"name": name, "port": 8080, "weight": weight})
}

fn intents(route: &DynamicObject) -> Result<Vec<Intent>, Vec<String>> {
    let parsed = Intent::parse(&read(route), &Defaults::default());
    parsed.map_err(|problems| problems.iter().map(ToString::to_string).collect())
}

#[test]
fn every_rule_with_the_primary_is_a_set_and_the_others_are_left_alone() {
    let named = json!({"failover.linkerd.io/primary-service": "emoji-svc"});
    let spec = json!({"parentRefs": parent(), "rules": [
        {"name": "api", "backendRefs": [backend("emoji-svc", 9), backend("emoji-svc-west", 1)]},
        {"backendRefs": [backend("web-svc", 1), {"name": "odd", "kind": "Bucket", "weight": -1}]},
        {"backendRefs": [backend("emoji-svc-west", 3), backend("emoji-svc", 1_000_000)]},
        {"filters": [{"type": "RequestRedirect"}]},
    ]});
    let intents = intents(&annotated(spec, named)).unwrap();
    let place = BackendIndex::new;
    let unreadable: Vec<_> =
        intents.iter().map(|i| (i.set.as_str(), i.path.to_string(), &*i.tiers)).collect();
    assert_eq!(
        unreadable,
        [
            ("api", "spec.rules[0].backendRefs".to_owned(), &[vec![place(0)], vec![place(1)]][..]),
            ("#2", "spec.rules[2].backendRefs".to_owned(), &[vec![place(1)], vec![place(0)]][..]),
        ]
    );
    assert_eq!(intents[0].apexes, ["emoji-svc"]);
    assert_eq!(intents[1].backends[1].authored, 1_000_000);
    assert_eq!(intents[1].backends[1].port, Some(8080));
}

#[test]
fn of_two_rules_with_one_name_the_first_has_it() {
    let rule = |name: &str| json!({"name": name, "backendRefs": [backend("emoji-svc", 1)]});
    let rules = json!([rule("api"), rule("api"), rule("")]);
    let intents = intents(&route(json!({"parentRefs": parent(), "rules": rules}))).unwrap();
    assert_eq!(intents.iter().map(|i| &*i.set).collect::<Vec<_>>(), ["api", "#1", "#2"]);
}

#[test]
fn no_rule_is_called_as_another_is_by_its_place() {
    let rule = |name: &str| json!({"name": name, "backendRefs": [backend("emoji-svc", 1)]});
    let rules = json!([rule(""), rule("#0"), rule("#3"), rule("")]);
    let intents = intents(&route(json!({"parentRefs": parent(), "rules": rules}))).unwrap();
    assert_eq!(intents.iter().map(|i| &*i.set).collect::<Vec<_>>(), ["#0", "#1", "#2", "#3"]);
}

#[test]
fn an_absent_weight_counts_as_1_and_the_same_set_is_kept_for_each_rule() {
    let record = r##"{"v":1,"sets":{"#0":{"emoji-svc":7,"emoji-svc-west":0}}}"##;
    let spec = json!({"parentRefs": parent(), "rules": [
        {"backendRefs": [{"name": "emoji-svc", "port": 1}, backend("emoji-svc-west", 1)]},
        {"backendRefs": [backend("emoji-svc", 2)]},
    ]});
    let intents =
        intents(&annotated(spec, json!({"failover.linkerd.io/authored-weights": record}))).unwrap();
    let weights = |i: &Intent| i.backends.iter().map(|b| (b.authored, b.live)).collect::<Vec<_>>();
    assert_eq!(weights(&intents[0]), [(7, 1), (0, 1)]);
    assert_eq!(weights(&intents[1]), [(2, 2)]);
}

#[test]
fn annotations_may_name_backends_of_any_rule_and_count_where_those_are() {
    let spec = json!({"parentRefs": parent(), "rules": [
        {"backendRefs": [backend("emoji-svc", 1), backend("west", 0), backend("north", 0)]},
        {"backendRefs": [backend("emoji-svc", 1),
            {"name": "south", "namespace": "other", "port": 8080, "weight": 0}]},
    ]});
    let annotations = json!({
        "failover.linkerd.io/fallback-order": "north,west,other/south",
        "failover.linkerd.io/pin": "west",
        "failover.linkerd.io/min-ready": "other/south=2",
    });
    let intents = intents(&annotated(spec, annotations)).unwrap();
    assert_eq!(intents[0].tiers, [vec![0], vec![2], vec![1]]);
    assert_eq!(intents[0].policy.pin.as_ref().unwrap().backends, [1]);
    assert_eq!(intents[1].policy.pin, None, "that rule has no west");
    assert_eq!(intents[1].backends[1].name, "other/south");
    assert_eq!(intents[1].backends[1].min_ready.to_string(), "2");
}

/// What is wrong, and what must be reported of it.
#[test]
fn what_linkerd_could_not_route_is_a_problem_that_names_its_field() {
    let rules = |refs: Value| json!({"parentRefs": parent(), "rules": [{"backendRefs": refs}]});
    for (spec, expected) in [
        (json!({}), vec!["spec.parentRefs: found nothing", "spec.rules: found no backends"]),
        (json!([]), vec!["spec.parentRefs: found nothing", "spec.rules: found no backends"]),
        (
            json!({"parentRefs": [{"kind": "Gateway", "name": "g"}],
                "rules": [{"backendRefs": [backend("a", 1)]}]}),
            vec!["spec.parentRefs: found no Service, expected a parent of kind: Service"],
        ),
        (json!({"parentRefs": parent(), "rules": {}}), vec!["spec.rules: found an object"]),
        (rules(json!("x")), vec!["spec.rules[0].backendRefs: found \"x\", expected a list"]),
        (rules(json!([{"port": 1}])), vec!["spec.rules[0].backendRefs[0].name: found nothing"]),
        (
            rules(json!([backend("a", 1), {"name": "b", "port": 1, "weight": 1_000_001}])),
            vec![
                "spec.rules[0].backendRefs[1].weight: found 1000001, expected a whole number from 0 to 1000000",
            ],
        ),
        (
            rules(json!([backend("a", 1), {"name": "b"}])),
            vec!["spec.rules[0].backendRefs[1].port: found nothing, expected the port of b"],
        ),
        (
            rules(json!([backend("a", 1), {"name": "b", "port": 1, "kind": "Bucket"}])),
            vec!["spec.rules[0].backendRefs[1].kind: found \"Bucket\", expected Service"],
        ),
        (
            rules(json!([backend("a", 1), backend("a", 0)])),
            vec![
                "spec.rules[0].backendRefs[1].name: found \"a\", which spec.rules[0].backendRefs[0] has already",
            ],
        ),
        (
            json!({"parentRefs": [{"group": "", "kind": "Service", "name": "a", "namespace": "b"}],
                "rules": [{"backendRefs": [backend("a", 1)]}]}),
            vec![
                "spec.rules[0].backendRefs[0].namespace: found nothing, beside a parent in another namespace",
            ],
        ),
        (
            rules(json!([backend("a", 1), backend("other/b", 0)])),
            vec![
                "spec.rules[0].backendRefs[1].name: found \"other/b\", expected the name of a Service; a Service of another namespace is named by the field namespace",
            ],
        ),
        (
            rules(json!([{"name": "a.b", "port": 1}])),
            vec![
                "spec.rules[0].backendRefs[0].name: found \"a.b\", expected the name of a Service",
            ],
        ),
    ] {
        let found = intents(&route(spec.clone())).unwrap_err();
        assert_eq!(found.len(), expected.len(), "{spec}: {found:?}");
        for (found, expected) in found.iter().zip(expected) {
            assert!(found.starts_with(expected), "{spec}: {found}");
        }
    }
}

#[test]
fn a_primary_that_is_in_no_rule_is_a_problem() {
    let spec =
        json!({"parentRefs": parent(), "rules": [{"backendRefs": [backend("emoji-svc", 1)]}]});
    let named = json!({"failover.linkerd.io/primary-service": "emoji-scv"});
    let found = intents(&annotated(spec, named)).unwrap_err();
    assert!(found[0].contains("did you mean emoji-svc?"), "{found:?}");
}

#[test]
fn what_linkerd_says_of_a_route_is_read_from_its_status() {
    let with = |controller: &str, conditions: Value| {
        let mut route = route(json!({}));
        route.data["status"] = json!({"parents": [
            {"controllerName": "example.com/gateway", "conditions": [{"type": "Accepted", "status": "False"}]},
            {"controllerName": controller, "parentRef": {"name": "emoji-svc"}, "conditions": conditions},
        ]});
        in_use(&route)
    };
    assert_eq!(in_use(&route(json!({}))), InUse::NotSaid);
    assert_eq!(with("example.com/other", json!([])), InUse::NotSaid);
    let accepted = json!({"type": "Accepted", "status": "True"});
    assert_eq!(with(LINKERD, json!([accepted])), InUse::Yes);
    let unresolved = json!({"type": "ResolvedRefs", "status": "False", "reason": "BackendNotFound", "message": "x"});
    let InUse::No(why) = with(LINKERD, json!([accepted, unresolved])) else { panic!("in use") };
    assert_eq!(&*why, "for emoji-svc, ResolvedRefs is False: BackendNotFound (x)");
}
