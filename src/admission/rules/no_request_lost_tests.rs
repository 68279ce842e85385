//! What is warned about at apply, and when.

use crate::admission::route_test_support::{backend, http_route, mutated, validation, world};
use crate::admission::test_support::{World, split, stored, validate};
use crate::engine::annotations;
use crate::kinds::linkerd::failfast::{EnvList, Failfast, FailfastTimeout};
use kube::core::DynamicObject;
use serde_json::{Value, json};
use std::time::Duration;

const RETRY: &str = "retry.linkerd.io/http";

fn one_rule() -> Value {
    json!([backend("emoji-svc", 1), backend("emoji-svc-west", 0)])
}

/// A route with these annotations, as an author sends it.
fn sent(all: &[(&str, &str)]) -> DynamicObject {
    let mut route = http_route(&[("/", one_rule())]);
    let all = all.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    route.metadata.annotations = Some(all.collect());
    route
}

fn seamless() -> DynamicObject {
    sent(&[(annotations::PROTECTION, "seamless")])
}

fn annotate_service(world: &mut World, name: &str, annotations: Value) {
    let ports = json!([{"name": "grpc", "port": 8080}]);
    let service = json!({"metadata": {"annotations": annotations}, "spec": {"ports": ports}});
    world.service(name, service);
}

fn accrual(world: &mut World, min_penalty: &str) {
    let mode = "balancer.linkerd.io/failure-accrual";
    let min = "balancer.linkerd.io/failure-accrual-consecutive-min-penalty";
    annotate_service(world, "emoji-svc", json!({mode: "consecutive", min: min_penalty}));
}

fn set_failfast(world: &mut World, milliseconds: u64) {
    let timeout = Duration::from_millis(milliseconds);
    let set_in = Some(EnvList::Additional);
    world.index.failfast = Failfast::Known(FailfastTimeout { timeout, set_in });
}

/// The warnings at this apply about what is missing, each by what was found; and the object as it is stored.
fn applied(
    world: &World,
    old: Option<&DynamicObject>,
    new: &DynamicObject,
) -> (Vec<String>, DynamicObject) {
    let object = stored(mutated(world, old, new));
    let validation = validation(world, old, &object);
    assert!(validation.errors.is_empty(), "{validation:?}");
    let found = validation.warnings.iter().map(|warning| warning.found.clone());
    let is_ours = |found: &String| {
        ["failfast", "failure accrual", "endpoints", RETRY]
            .iter()
            .any(|about| found.contains(about))
    };
    (found.filter(is_ours).collect(), object)
}

const NO_ACCRUAL: &str = "Service emojivoto/emoji-svc without failure accrual";
const LONG: &str = "a failfast timeout of 3s in callers' proxies, by proxy.additionalEnv";

#[test]
fn a_route_that_asks_for_no_more_is_warned_about_nothing() {
    let mut world = world();
    set_failfast(&mut world, 3_000);
    assert_eq!(applied(&world, None, &sent(&[])).0, [""; 0]);
    let standard = sent(&[(annotations::PROTECTION, "standard")]);
    assert_eq!(applied(&world, None, &standard).0, [""; 0]);
}

#[test]
fn what_a_seamless_route_lacks_is_reported_once_and_again_where_it_is_something_else() {
    let mut world = world();
    set_failfast(&mut world, 3_000);
    let (first, object) = applied(&world, None, &seamless());
    assert_eq!(first, [LONG, NO_ACCRUAL]);
    // Re-applied, and edited in a way that mends nothing.
    let (again, object) = applied(&world, Some(&object), &object);
    assert_eq!(again, [""; 0]);
    let mut edited = object.clone();
    edited.metadata.labels.as_mut().unwrap().insert("team".into(), "x".into());
    let (edit, object) = applied(&world, Some(&object), &edited);
    assert_eq!(edit, [""; 0]);
    // A new parent lacks what was reported of the other alone.
    let mut wider = object.clone();
    let parent = json!({"group": "core", "kind": "Service", "name": "web-svc", "port": 8080});
    wider.data["spec"]["parentRefs"].as_array_mut().unwrap().push(parent);
    let (wide, _) = applied(&world, Some(&object), &wider);
    assert_eq!(wide, ["Service emojivoto/web-svc without failure accrual"]);
    // Taken back and asked for again, it is reported again.
    let mut standard = object.clone();
    let all = standard.metadata.annotations.as_mut().unwrap();
    all.insert(annotations::PROTECTION.into(), "standard".into());
    let (none, standard) = applied(&world, Some(&object), &standard);
    assert_eq!(none, [""; 0]);
    let mut asked = standard.clone();
    let all = asked.metadata.annotations.as_mut().unwrap();
    all.insert(annotations::PROTECTION.into(), "seamless".into());
    assert_eq!(applied(&world, Some(&standard), &asked).0, first);
}

#[test]
fn what_is_mended_is_not_warned_about() {
    let mut world = world();
    set_failfast(&mut world, 200);
    accrual(&mut world, "10s");
    assert_eq!(applied(&world, None, &seamless()).0, [""; 0]);
    set_failfast(&mut world, 15_000);
    let (found, _) = applied(&world, None, &seamless());
    assert_eq!(found[1], "Service emojivoto/emoji-svc with failure accrual that probes after 10s");
}

#[test]
fn a_fallback_that_is_down_and_retries_that_do_not_help_are_reported() {
    let mut world = world();
    set_failfast(&mut world, 200);
    accrual(&mut world, "10s");
    world.set_ready("emoji-svc-west", 0);
    let (down, _) = applied(&world, None, &seamless());
    assert_eq!(down, ["emoji-svc-west: no endpoints"]);
    world.set_ready("emoji-svc-west", 1);
    let own = sent(&[(annotations::PROTECTION, "seamless"), (RETRY, "503, 504")]);
    let warnings = validation(&world, None, &mutated(&world, None, &own)).warnings;
    let text: String = warnings.iter().map(|warning| format!("{warning}\n")).collect();
    insta::assert_snapshot!(text, @r#"metadata.annotations[retry.linkerd.io/http]: found "503, 504", expected a list that Linkerd can read, without spaces; Linkerd cannot read it, and ignores all retries there: kubectl annotate --overwrite httproutes.gateway.networking.k8s.io -n emojivoto emoji retry.linkerd.io/http=gateway-error"#);
}

#[test]
fn annotations_that_a_split_makes_ineffective_are_reported_once_whatever_its_protection_is() {
    let mut world = World::with(&[("emoji-svc", 1), ("emoji-svc-west", 1)]);
    accrual(&mut world, "10s");
    let split = split(&[("emoji-svc", json!(1)), ("emoji-svc-west", json!(0))], &[]);
    let warnings = |old: Option<&DynamicObject>| -> String {
        let validation = validate(old, &split, &world.view());
        validation.warnings.iter().map(|warning| format!("{warning}\n")).collect()
    };
    insta::assert_snapshot!(warnings(None), @"spec.service: found Service emojivoto/emoji-svc with balancer.linkerd.io/failure-accrual, expected a route, with which Linkerd follows them; Linkerd follows the ServiceProfile of this split, and they do nothing; this prints the route that does the same: kubectl get trafficsplits.split.smi-spec.io -n emojivoto emoji -o yaml | linkerd-failover migrate -f -");
    assert_eq!(warnings(Some(&stored(split.clone()))), "");
}

#[test]
fn what_the_rule_of_protection_warns_about_is_reported_once_too() {
    let world = World::with(&[("emoji-svc", 1), ("emoji-svc-west", 1)]);
    let backends = [("emoji-svc", json!(1)), ("emoji-svc-west", json!(0))];
    let split = split(&backends, &[(annotations::PROTECTION, "seamless")]);
    let count = |old: Option<&DynamicObject>| {
        let warnings = validate(old, &split, &world.view()).warnings;
        warnings.iter().filter(|warning| warning.found.contains("seamless")).count()
    };
    assert_eq!((count(None), count(Some(&stored(split.clone())))), (1, 0));
}
