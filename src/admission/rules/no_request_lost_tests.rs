//! What is warned about at apply, and when.

use crate::admission::route_test_support::{backend, http_route, mutated, validation, world};
use crate::admission::test_support::{World, mutate, split, stored, validate};
use crate::engine::annotations;
use crate::index::profile_facts::ProfileFacts;
use crate::kinds::ObjectKey;
use crate::kinds::linkerd::failfast::{EnvList, Failfast, FailfastTimeout};
use kube::ResourceExt;
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

/// The warnings at this apply that have this word.
fn warned(world: &World, route: &DynamicObject, word: &str) -> String {
    let warnings = validation(world, None, &mutated(world, None, route)).warnings;
    let text = warnings.iter().map(|warning| format!("{warning}\n"));
    text.filter(|warning| warning.contains(word)).collect()
}

#[test]
fn where_retries_of_a_service_keep_ours_away_and_do_not_help_that_is_reported() {
    let mut world = world();
    accrual(&mut world, "10s");
    let ours = |world: &World, route| mutated(world, None, route).annotations().contains_key(RETRY);
    let seamless = seamless();
    assert_eq!(warned(&world, &seamless, "retry"), "", "they are added");
    // They are of the other kind: to Linkerd the Service has none.
    annotate_service(&mut world, "emoji-svc", json!({"retry.linkerd.io/grpc": "unavailable"}));
    assert!(!ours(&world, &seamless));
    insta::assert_snapshot!(warned(&world, &seamless, "retry"), @"metadata.annotations[retry.linkerd.io/http]: found no retries, expected gateway-error; a request that a lost backend leaves unanswered fails; a retried request may have reached the pod that died: only requests that may be repeated should be: kubectl annotate --overwrite httproutes.gateway.networking.k8s.io -n emojivoto emoji retry.linkerd.io/http=gateway-error retry.linkerd.io/limit=2");
    // One of two Services has some, and ours would take their place.
    annotate_service(&mut world, "emoji-svc", json!({RETRY: "5xx"}));
    let mut two = seamless.clone();
    let parent = json!({"group": "core", "kind": "Service", "name": "web-svc", "port": 8080});
    two.data["spec"]["parentRefs"].as_array_mut().unwrap().push(parent);
    assert!(!ours(&world, &two));
    insta::assert_snapshot!(warned(&world, &two, "retry"), @"spec.parentRefs: found no retries on Service emojivoto/web-svc, expected gateway-error; a request that a lost backend leaves unanswered fails; a retried request may have reached the pod that died: only requests that may be repeated should be: kubectl annotate --overwrite service -n emojivoto web-svc retry.linkerd.io/http=gateway-error retry.linkerd.io/limit=2");
    annotate_service(&mut world, "web-svc", json!({"retry.linkerd.io/limit": "0"}));
    insta::assert_snapshot!(warned(&world, &two, "retry"), @r#"spec.parentRefs: found retry.linkerd.io/limit: "0" on Service emojivoto/web-svc, expected 1 or more; retries count as forbidden and are not added (Linkerd itself ignores a limit of 0: beside a condition it retries once); a retried request may have reached the pod that died: only requests that may be repeated should be: kubectl annotate --overwrite service -n emojivoto web-svc retry.linkerd.io/limit=2 retry.linkerd.io/http=gateway-error"#);
}

#[test]
fn a_timeout_of_the_annotation_a_rule_or_the_service_is_compared_with_the_failfast_timeout() {
    let mut world = world();
    set_failfast(&mut world, 2_000);
    let timeout = "timeout.linkerd.io/request";
    let found = |world: &World, annotations: &[(&str, &str)], of_rule: Option<&str>| {
        let mut route = sent(&[&[(annotations::PROTECTION, "seamless")], annotations].concat());
        route.data["spec"]["rules"][0]["timeouts"] = json!({"request": of_rule});
        let warnings = validation(world, None, &mutated(world, None, &route)).warnings.into_iter();
        let warnings = warnings.filter(|warning| warning.found.contains("request timeout"));
        warnings.map(|warning| format!("{}: {}", warning.field, warning.found)).collect::<Vec<_>>()
    };
    let own = "metadata.annotations[timeout.linkerd.io/request]: a request timeout of 1s";
    let rule = "spec.rules[0].timeouts.request: a request timeout of 1500ms";
    assert_eq!(found(&world, &[], None), [""; 0]);
    assert_eq!(found(&world, &[(timeout, "1s")], Some("10s")), [own]);
    assert_eq!(found(&world, &[(timeout, "10s")], Some("1s")), [""; 0]);
    assert_eq!(found(&world, &[], Some("1500ms")), [rule]);
    assert_eq!(found(&world, &[], Some("0s")), [""; 0], "that is none");
    annotate_service(&mut world, "emoji-svc", json!({timeout: "1s"}));
    let of_service = "spec.parentRefs: a request timeout of 1s on Service emojivoto/emoji-svc";
    assert_eq!(found(&world, &[], None), [of_service]);
    assert_eq!(found(&world, &[], Some("10s")), [""; 0], "the rule has its own");
    assert_eq!(found(&world, &[("timeout.linkerd.io/idle", "9s")], None), [""; 0]);
}

/// The API server shortens every warning of an answer that has more than 4,096 characters of them to 256.
#[test]
fn all_that_the_largest_route_can_lack_arrives_whole() {
    let mut world = world();
    set_failfast(&mut world, 3_000);
    world.set_ready("emoji-svc-west", 0);
    let rules: Vec<(String, Value)> = (0..16).map(|i| (format!("/{i}"), one_rule())).collect();
    let rules: Vec<(&str, Value)> =
        rules.iter().map(|(path, backends)| (path.as_str(), backends.clone())).collect();
    let mut route = http_route(&rules);
    let all = [(annotations::PROTECTION, "seamless"), ("retry.linkerd.io/limit", "0")];
    let all = all.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    route.metadata.annotations = Some(all.collect());
    let notes = mutate(None, &route, &world.view()).notes;
    let warnings = validation(&world, None, &mutated(&world, None, &route)).warnings;
    let each = notes.into_iter().chain(warnings.iter().map(ToString::to_string));
    let lengths: Vec<usize> = each.map(|warning| warning.chars().count()).collect();
    assert!(lengths.iter().sum::<usize>() <= 4_096, "{lengths:?} {warnings:#?}");
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

/// All warnings at this apply, a line each.
fn all_warnings(world: &World, old: Option<&DynamicObject>, new: &DynamicObject) -> String {
    let validation = validate(old, new, &world.view());
    assert!(validation.errors.is_empty(), "{validation:?}");
    validation.warnings.iter().map(|warning| format!("{warning}\n")).collect()
}

const MODE: &str = "balancer.linkerd.io/failure-accrual";

#[test]
fn failure_accrual_of_a_backend_alone_is_reported_once_whatever_the_protection_of_the_route_is() {
    let mut world = world();
    let standard = stored(mutated(&world, None, &sent(&[])));
    annotate_service(&mut world, "emoji-svc-west", json!({MODE: "consecutive"}));
    insta::assert_snapshot!(all_warnings(&world, None, &standard), @"spec.parentRefs: found failure accrual on Service emojivoto/emoji-svc-west, and none on Service emojivoto/emoji-svc, expected balancer.linkerd.io/failure-accrual on Service emojivoto/emoji-svc; Linkerd takes failure accrual from the Service that clients call, for all backends, and from no backend: kubectl annotate --overwrite service -n emojivoto emoji-svc balancer.linkerd.io/failure-accrual=consecutive balancer.linkerd.io/failure-accrual-consecutive-min-penalty=10s");
    assert_eq!(all_warnings(&world, Some(&standard), &standard), "", "it was reported before");
    // Of a seamless route it is one warning, not two.
    let (found, _) = applied(&world, None, &seamless());
    assert_eq!(found.len(), 1, "{found:?}");
    // Clients call this one: Linkerd takes it for all backends.
    accrual(&mut world, "10s");
    assert_eq!(all_warnings(&world, None, &standard), "");
}

#[test]
fn failure_accrual_that_a_mirror_has_from_its_own_cluster_is_nobodys_mistake() {
    let mut world = world();
    let metadata = json!({"annotations": {MODE: "consecutive"},
        "labels": {"mirror.linkerd.io/cluster-name": "west"}});
    let ports = json!([{"name": "grpc", "port": 8080}]);
    let mirror = json!({"metadata": metadata, "spec": {"ports": ports}});
    world.service("emoji-svc-west", mirror);
    let standard = stored(mutated(&world, None, &sent(&[])));
    assert_eq!(all_warnings(&world, None, &standard), "");
}

#[test]
fn a_penalty_under_the_failfast_timeout_is_reported_whatever_the_protection_of_the_route_is() {
    let mut world = world();
    set_failfast(&mut world, 3_000);
    let standard = stored(mutated(&world, None, &sent(&[])));
    accrual(&mut world, "1s");
    insta::assert_snapshot!(all_warnings(&world, None, &standard), @"spec.parentRefs: found Service emojivoto/emoji-svc with failure accrual that probes after 1s, expected 3s or more; under the failfast timeout a probe comes before the backend is given up, and its errors reach callers: kubectl annotate --overwrite service -n emojivoto emoji-svc balancer.linkerd.io/failure-accrual-consecutive-min-penalty=10s");
    assert_eq!(all_warnings(&world, Some(&standard), &standard), "", "it was reported before");
    accrual(&mut world, "ten");
    insta::assert_snapshot!(all_warnings(&world, None, &standard), @r#"spec.parentRefs: found Service emojivoto/emoji-svc with balancer.linkerd.io/failure-accrual-consecutive-min-penalty: "ten", expected a value that Linkerd can read, and penalties in order; Linkerd ignores all failure accrual of that Service: kubectl annotate --overwrite service -n emojivoto emoji-svc balancer.linkerd.io/failure-accrual-consecutive-min-penalty-"#);
    accrual(&mut world, "10s");
    assert_eq!(all_warnings(&world, None, &standard), "");
}

#[test]
fn a_profile_that_hides_a_route_is_reported_with_the_failure_accrual_that_does_nothing() {
    let mut world = world();
    let standard = stored(mutated(&world, None, &sent(&[])));
    let profile = json!({"metadata": {"name": "emoji-svc.emojivoto.svc.cluster.local"},
        "spec": {"routes": [{"name": "/", "condition": {"pathRegex": "/"}}]}});
    let facts = ProfileFacts::read(&serde_json::from_value(profile).unwrap());
    let key = ObjectKey::new("emojivoto", "emoji-svc.emojivoto.svc.cluster.local");
    world.index.set_profile(key, facts);
    assert!(!all_warnings(&world, None, &standard).contains(MODE));
    accrual(&mut world, "10s");
    insta::assert_snapshot!(all_warnings(&world, None, &standard), @r#"spec.parentRefs: found "emoji-svc", whose ServiceProfile emoji-svc.emojivoto.svc.cluster.local has routes, expected no ServiceProfile that takes precedence over the route; Linkerd follows the profile and not this route, its retries or failure accrual, which the Service asks for by balancer.linkerd.io/failure-accrual: delete it, or the TrafficSplit that it is made of; see who writes it with: kubectl get serviceprofiles.linkerd.io -o yaml --show-managed-fields"#);
}

#[test]
fn failure_accrual_of_a_split_does_nothing_on_any_of_its_services() {
    let mut world = World::with(&[("emoji-svc", 1), ("emoji-svc-west", 1)]);
    annotate_service(&mut world, "emoji-svc-west", json!({MODE: "consecutive"}));
    let split = split(&[("emoji-svc", json!(1)), ("emoji-svc-west", json!(0))], &[]);
    insta::assert_snapshot!(all_warnings(&world, None, &split), @"spec.service: found Service emojivoto/emoji-svc-west with balancer.linkerd.io/failure-accrual, expected a route, with which Linkerd follows them; Linkerd follows the ServiceProfile of this split, and they do nothing; this prints the route that does the same: kubectl get trafficsplits.split.smi-spec.io -n emojivoto emoji -o yaml | linkerd-failover migrate -f -");
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
