//! Retries that `protection: seamless` adds to a route, and what is kept, taken back, and warned about.

use crate::admission::route_test_support::{
    backend, http_route, mutated, two_rules, validation, world,
};
use crate::admission::test_support::{LABEL, World, mutate, split, stored, validate};
use crate::engine::{NamespaceDefault, Protection, annotations};
use crate::index::namespace_facts::NamespaceProtection;
use crate::kinds::Kind;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{FieldsV1, ManagedFieldsEntry};
use kube::ResourceExt;
use kube::core::DynamicObject;
use proptest::prelude::*;
use serde_json::{Value, json};
use std::collections::BTreeMap;

const HTTP: &str = "retry.linkerd.io/http";
const LIMIT: &str = "retry.linkerd.io/limit";
const RECORD: &str = "retry.linkerd.io/http=gateway-error,retry.linkerd.io/limit=2";
const SEAMLESS: (&str, &str) = (annotations::PROTECTION, "seamless");
const OURS: [(&str, &str); 3] =
    [(annotations::ADDED, RECORD), (HTTP, "gateway-error"), (LIMIT, "2")];

type Annotations = BTreeMap<String, String>;

fn map(pairs: &[(&str, &str)]) -> Annotations {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

fn with(mut route: DynamicObject, pairs: &[(&str, &str)]) -> DynamicObject {
    route.annotations_mut().extend(map(pairs));
    route
}

fn without(mut route: DynamicObject, names: &[&str]) -> DynamicObject {
    names.iter().for_each(|name| drop(route.annotations_mut().remove(*name)));
    route
}

/// What stands in a route of retries, and of ours.
fn retries(route: &DynamicObject) -> Annotations {
    let is_one =
        |name: &&String| name.starts_with("retry.linkerd.io/") || *name == annotations::ADDED;
    let there = route.annotations().iter().filter(|(name, _)| is_one(name));
    there.map(|(name, value)| (name.clone(), value.clone())).collect()
}

/// A route that was given retries, as it is stored.
fn seamless(world: &World) -> DynamicObject {
    stored(mutated(world, None, &with(two_rules(), &[SEAMLESS])))
}

fn applied_by_kubectl(mut route: DynamicObject, manifest: &[(&str, &str)]) -> DynamicObject {
    let manifest = with(two_rules(), manifest);
    let text = serde_json::to_string(&manifest).unwrap();
    route.annotations_mut().insert(annotations::LAST_APPLIED.into(), text);
    route
}

fn owned_by(
    mut route: DynamicObject,
    manager: &str,
    operation: &str,
    names: &[&str],
) -> DynamicObject {
    let fields: BTreeMap<String, Value> =
        names.iter().map(|name| (format!("f:{name}"), json!({}))).collect();
    let entry = ManagedFieldsEntry {
        manager: Some(manager.into()),
        operation: Some(operation.into()),
        fields_v1: Some(FieldsV1(json!({"f:metadata": {"f:annotations": fields}}))),
        ..ManagedFieldsEntry::default()
    };
    route.managed_fields_mut().push(entry);
    route
}

#[test]
fn seamless_adds_retries_to_a_route_and_records_that() {
    let mut world = world();
    assert_eq!(retries(&seamless(&world)), map(&OURS));
    assert_eq!(retries(&mutated(&world, None, &two_rules())), map(&[]));
    world.kind = Kind::GrpcRoute;
    let record = "retry.linkerd.io/grpc=unavailable,retry.linkerd.io/limit=2";
    let of_grpc =
        [(annotations::ADDED, record), ("retry.linkerd.io/grpc", "unavailable"), (LIMIT, "2")];
    assert_eq!(retries(&seamless(&world)), map(&of_grpc));
}

#[test]
fn the_chart_and_a_namespace_ask_for_it_too_and_the_route_says_no() {
    let mut world = world();
    world.defaults.protection = Protection::Seamless;
    assert_eq!(retries(&mutated(&world, None, &two_rules())), map(&OURS));
    let standard = with(two_rules(), &[(annotations::PROTECTION, "standard")]);
    assert_eq!(retries(&mutated(&world, None, &standard)), map(&[]));
    world.defaults.namespace_protection = NamespaceDefault::Asks(Protection::Standard);
    assert_eq!(retries(&mutated(&world, None, &two_rules())), map(&[]));
    world.defaults.protection = Protection::Standard;
    world.defaults.namespace_protection = NamespaceDefault::Asks(Protection::Seamless);
    assert_eq!(retries(&mutated(&world, None, &two_rules())), map(&OURS));
}

#[test]
fn nothing_is_added_beside_what_the_route_or_its_service_has() {
    let mut world = world();
    for own in [(HTTP, "5xx"), (LIMIT, "0"), (LIMIT, "3"), ("retry.linkerd.io/timeout", "1s")] {
        let sent = with(two_rules(), &[SEAMLESS, own]);
        assert_eq!(retries(&mutated(&world, None, &sent)), map(&[own]), "{own:?}");
    }
    for of_service in [(HTTP, "5xx"), (LIMIT, "0")] {
        set_retries_of_service(&mut world, &[of_service]);
        assert_eq!(retries(&seamless(&world)), map(&[]), "{of_service:?}");
    }
}

fn set_retries_of_service(world: &mut World, retries: &[(&str, &str)]) {
    let spec = json!({"ports": [{"name": "grpc", "port": 8080}]});
    world.service("emoji-svc", json!({"metadata": {"annotations": map(retries)}, "spec": spec}));
}

/// An edit of a route that has our retries: what is sent, and what is left of them.
#[test]
fn what_is_ours_stays_through_every_way_to_apply_and_what_the_author_sets_is_his() {
    let world = world();
    let old = seamless(&world);
    let equal = [(HTTP, "gateway-error"), (LIMIT, "2")];
    let replaced = |pairs: &[(&str, &str)]| with(stored(two_rules()), pairs);
    let backup = [&[SEAMLESS][..], &OURS].concat();
    let cases: Vec<(&str, DynamicObject, Annotations)> = vec![
        // Ours: no author has named them.
        ("nothing changes", old.clone(), map(&OURS)),
        ("kubectl apply", applied_by_kubectl(old.clone(), &[SEAMLESS]), map(&OURS)),
        ("kubectl replace", replaced(&[SEAMLESS]), map(&OURS)),
        ("server-side apply", owned_by(old.clone(), "flux", "Apply", &[SEAMLESS.0]), map(&OURS)),
        ("Argo CD", owned_by(old.clone(), "argocd-controller", "Apply", &[SEAMLESS.0]), map(&OURS)),
        ("one was removed by hand", without(old.clone(), &[LIMIT]), map(&OURS)),
        ("kubectl apply of a backup", applied_by_kubectl(old.clone(), &backup), map(&OURS)),
        ("kubectl replace of a backup", replaced(&backup), map(&OURS)),
        (
            "server-side apply of a backup",
            owned_by(old.clone(), "me", "Apply", &[annotations::ADDED, HTTP, LIMIT]),
            map(&OURS),
        ),
        // The author's, equal to ours.
        (
            "kubectl apply, equal",
            applied_by_kubectl(old.clone(), &[&[SEAMLESS][..], &equal].concat()),
            map(&equal),
        ),
        ("kubectl replace, equal", replaced(&[&[SEAMLESS][..], &equal].concat()), map(&equal)),
        (
            "server-side apply, equal",
            owned_by(old.clone(), "flux", "Apply", &[SEAMLESS.0, HTTP, LIMIT]),
            map(&equal),
        ),
        (
            "Argo CD, equal",
            owned_by(old.clone(), "argocd-controller", "Apply", &[SEAMLESS.0, HTTP, LIMIT]),
            map(&equal),
        ),
        (
            "one of two, equal: the other is taken back",
            owned_by(old.clone(), "flux", "Apply", &[SEAMLESS.0, HTTP]),
            map(&equal[..1]),
        ),
        (
            "the record was removed by hand",
            without(old.clone(), &[annotations::ADDED]),
            map(&equal),
        ),
        // The author's, another.
        ("another value", with(old.clone(), &[(HTTP, "5xx")]), map(&[(HTTP, "5xx")])),
        (
            "another annotation",
            with(old.clone(), &[("retry.linkerd.io/timeout", "1s")]),
            map(&[("retry.linkerd.io/timeout", "1s")]),
        ),
    ];
    for (name, sent, expected) in cases {
        let once = mutated(&world, Some(&old), &sent);
        assert_eq!(retries(&once), expected, "{name}");
        assert_eq!(mutated(&world, Some(&old), &once), once, "{name}: a second call");
    }
}

/// `kubectl apply` leaves its manifest in the object, where it stays whatever a person removes by hand.
#[test]
fn what_an_old_manifest_names_and_a_person_removed_is_added_as_ours() {
    let world = world();
    let equal = [SEAMLESS, (HTTP, "gateway-error")];
    let applied = applied_by_kubectl(with(two_rules(), &equal), &equal);
    let old = stored(mutated(&world, None, &applied));
    assert_eq!(retries(&old), map(&equal[1..]), "his");
    let removed = without(old.clone(), &[HTTP]);
    for before in [Some(&old), None] {
        let once = mutated(&world, before, &removed);
        assert_eq!(retries(&once), map(&OURS));
        assert_eq!(mutated(&world, before, &once), once, "a second call");
        assert_eq!(retries(&mutated(&world, Some(&once), &once)), map(&OURS), "a later edit");
    }
}

#[test]
fn ours_go_with_the_annotation_the_label_and_the_retries_of_the_service() {
    let mut world = world();
    let old = seamless(&world);
    let none = map(&[]);
    let standard = with(old.clone(), &[(annotations::PROTECTION, "standard")]);
    assert_eq!(retries(&mutated(&world, Some(&old), &standard)), none);
    let silent = without(old.clone(), &[annotations::PROTECTION]);
    assert_eq!(retries(&mutated(&world, Some(&old), &silent)), none);
    let mut unlabelled = old.clone();
    unlabelled.labels_mut().remove(LABEL);
    let released = mutated(&world, Some(&old), &unlabelled);
    assert_eq!(retries(&released), none);
    assert_eq!(released.annotations()[annotations::PROTECTION], "seamless", "the author's");
    // What he has set himself stays.
    let his = owned_by(unlabelled.clone(), "flux", "Apply", &[HTTP]);
    assert_eq!(retries(&mutated(&world, Some(&old), &his)), map(&[(HTTP, "gateway-error")]));
    set_retries_of_service(&mut world, &[(HTTP, "5xx")]);
    assert_eq!(retries(&mutated(&world, Some(&old), &old)), none);
}

#[test]
fn a_misspelt_value_is_refused_when_it_is_new_and_stands_for_nothing_where_it_is_stored() {
    let world = world();
    let misspelt = with(two_rules(), &[(annotations::PROTECTION, "seamles")]);
    let new = validation(&world, None, &misspelt);
    assert_eq!(new.errors.len(), 1, "{new:?}");
    insta::assert_snapshot!(new.errors[0].to_string(), @r#"metadata.annotations[failover.linkerd.io/protection]: found "seamles", expected "standard" or "seamless"; did you mean "seamless"?"#);
    let old = stored(misspelt);
    let edited = with(old.clone(), &[("team", "x")]);
    let kept = validation(&world, Some(&old), &edited);
    assert!(kept.errors.is_empty() && !kept.warnings.is_empty(), "{kept:?}");
    assert_eq!(retries(&mutated(&world, Some(&old), &edited)), map(&[]));
}

/// Whatever stands in `added`, nothing of the author's is taken, and a second call changes nothing.
#[test]
fn a_record_that_somebody_tampers_with_costs_the_author_nothing() {
    let world = world();
    let old = seamless(&world);
    for record in [
        "",
        ",",
        "retry.linkerd.io/http=5xx",
        "retry.linkerd.io/http=gateway-error",
        "retry.linkerd.io/http",
        "team=x,retry.linkerd.io/timeout=1s",
        "retry.linkerd.io/limit=2,retry.linkerd.io/http=gateway-error",
    ] {
        let own = [("team", "x"), ("retry.linkerd.io/timeout", "1s"), (annotations::ADDED, record)];
        let sent = with(old.clone(), &own);
        let once = mutated(&world, Some(&old), &sent);
        assert_eq!(mutated(&world, Some(&old), &once), once, "{record:?}: a second call");
        let mut unlabelled = once.clone();
        unlabelled.labels_mut().remove(LABEL);
        for after in [&once, &mutated(&world, Some(&once), &unlabelled)] {
            for (name, value) in &own[..2] {
                assert_eq!(after.annotations().get(*name).unwrap(), value, "{record:?}");
            }
            assert!(!after.annotations().contains_key(annotations::ADDED), "{record:?}");
        }
    }
}

/// Not known is neither one nor the other.
#[test]
fn where_it_is_not_known_whether_ours_are_due_they_are_left_as_they_are() {
    let mut world = world();
    let old = seamless(&world);
    world.index.namespaces = vec!["emojivoto".into()];
    let mut elsewhere = with(two_rules(), &[SEAMLESS]);
    elsewhere.data["spec"]["parentRefs"][0]["namespace"] = json!("other");
    for rule in elsewhere.data["spec"]["rules"].as_array_mut().unwrap() {
        for backend in rule["backendRefs"].as_array_mut().unwrap() {
            backend["namespace"] = json!("emojivoto");
        }
    }
    assert_eq!(retries(&mutated(&world, None, &elsewhere)), map(&[]));
    let was = with(elsewhere, &OURS);
    assert_eq!(retries(&mutated(&world, Some(&stored(was.clone())), &was)), map(&OURS));

    let silent = without(old.clone(), &[annotations::PROTECTION]);
    world.defaults.namespace_protection = NamespaceDefault::NotKnown;
    assert_eq!(retries(&mutated(&world, Some(&old), &silent)), map(&OURS));
    assert_eq!(retries(&mutated(&world, None, &two_rules())), map(&[]));
}

#[test]
fn what_is_added_and_taken_back_is_noted_once_with_what_its_author_has_to_know() {
    let world = world();
    let notes = |old: Option<&DynamicObject>, new: &DynamicObject| {
        let notes = mutate(old, new, &world.view()).notes;
        notes.into_iter().filter(|note| note.contains("retry")).collect::<Vec<_>>()
    };
    let sent = with(two_rules(), &[SEAMLESS]);
    let old = seamless(&world);
    insta::assert_snapshot!(notes(None, &sent).join("\n"), @r#"protection is seamless by its annotation: retry.linkerd.io/http: "gateway-error" and retry.linkerd.io/limit: "2" were added; a retried request may have reached the pod that died: only requests that may be repeated should be"#);
    assert_eq!(notes(Some(&old), &old), [""; 0]);
    assert_eq!(notes(Some(&old), &stored(sent)), [""; 0], "replaced");
    let silent = without(old.clone(), &[annotations::PROTECTION]);
    let his = with(old.clone(), &[(HTTP, "5xx")]);
    let taken = [notes(Some(&old), &silent), notes(Some(&old), &his)].concat();
    insta::assert_snapshot!(taken.join("\n"), @r#"
    retry.linkerd.io/http: "gateway-error" and retry.linkerd.io/limit: "2" were taken back: its protection is not seamless any more
    retry.linkerd.io/limit: "2" was taken back: it has retries that its author has set
    "#);
}

/// Each warning of the rule, with its exact message.
#[test]
fn what_a_seamless_protection_lacks_is_warned_about_with_the_line_that_mends_it() {
    let of_rule = |world: &World, route: &DynamicObject| {
        let found = validation(world, None, &mutated(world, None, route));
        assert!(found.errors.is_empty(), "{found:?}");
        let ours = |warning: &String| warning.contains("protection") || warning.contains("retries");
        found.warnings.iter().map(ToString::to_string).filter(ours).collect::<Vec<_>>()
    };
    let mut warnings_by_case = String::new();
    let mut add = |name: &str, warnings: Vec<String>| {
        warnings_by_case.push_str(&format!("{name}\n"));
        warnings.iter().for_each(|warning| warnings_by_case.push_str(&format!("  {warning}\n")));
    };
    let mut world = world();
    let one_rule =
        || http_route(&[("/", json!([backend("emoji-svc", 1), backend("emoji-svc-west", 0)]))]);
    add("standard", of_rule(&world, &two_rules()));
    add("all is well", of_rule(&world, &with(one_rule(), &[&[SEAMLESS][..], &OURS].concat())));
    let mut to_the_parent = with(two_rules(), &[SEAMLESS]);
    let rules = to_the_parent.data["spec"]["rules"].as_array_mut().unwrap();
    rules.push(json!({"matches": [{"path": {"value": "/x"}}]}));
    rules.push(json!({"filters": [{"type": "RequestRedirect"}]}));
    add("rules without a fallback", of_rule(&world, &to_the_parent));
    add("limit 0", of_rule(&world, &with(one_rule(), &[SEAMLESS, (LIMIT, "0")])));
    let without_share = [SEAMLESS, (annotations::WARM_STANDBY, "false")];
    add("without a share", of_rule(&world, &with(one_rule(), &without_share)));
    set_retries_of_service(&mut world, &[(LIMIT, "0")]);
    add("limit 0 of the Service", of_rule(&world, &with(one_rule(), &[SEAMLESS])));
    world.index.remove_service(&crate::kinds::ObjectKey::new("emojivoto", "emoji-svc"));
    add("a Service that cannot be seen", of_rule(&world, &with(one_rule(), &[SEAMLESS])));

    let mut world = World::with(&[("emoji-svc", 1), ("emoji-svc-west", 1)]);
    let backends = [("emoji-svc", json!(1)), ("emoji-svc-west", json!(0))];
    let of_split = |world: &World, annotations: &[(&str, &str)]| {
        let found = validate(None, &split(&backends, annotations), &world.view());
        found.warnings.iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    add("a split", of_split(&world, &[SEAMLESS]));
    let unreadable = NamespaceProtection::Unreadable("full".into());
    world.index.set_namespace("emojivoto", Some(unreadable));
    add("a namespace that cannot be read", of_split(&world, &[]));
    insta::assert_snapshot!(warnings_by_case, @r#"
    standard
    all is well
    rules without a fallback
      spec.rules: found no fallback in spec.rules[2].backendRefs, spec.rules[3], expected one in each rule: Linkerd's retries are per route, so these requests are retried too, with nowhere else to go; move such a rule to a route of its own, with failover.linkerd.io/protection: standard
    limit 0
      metadata.annotations[retry.linkerd.io/limit]: found "0", expected 1 or more; retries count as forbidden and are not added (Linkerd itself ignores a limit of 0: beside a condition it retries once); a retried request may have reached the pod that died: only requests that may be repeated should be: kubectl annotate --overwrite httproutes.gateway.networking.k8s.io -n emojivoto emoji retry.linkerd.io/limit=2 retry.linkerd.io/http=gateway-error
    without a share
      metadata.annotations[failover.linkerd.io/warm-standby]: found "false", beside failover.linkerd.io/protection: seamless, expected "true", or nothing: without a share for the fallbacks a lost backend is all that a request knows; remove failover.linkerd.io/warm-standby
    limit 0 of the Service
      spec.parentRefs: found retry.linkerd.io/limit: "0" on Service emojivoto/emoji-svc, expected 1 or more; retries count as forbidden and are not added (Linkerd itself ignores a limit of 0: beside a condition it retries once); a retried request may have reached the pod that died: only requests that may be repeated should be: kubectl annotate --overwrite service -n emojivoto emoji-svc retry.linkerd.io/limit=2 retry.linkerd.io/http=gateway-error
    a Service that cannot be seen
      spec.parentRefs: found "emoji-svc", which cannot be seen, expected a Service whose annotations can be read: it may have retries, which ours would replace, so none are added; if it has none: kubectl -n emojivoto annotate httproutes.gateway.networking.k8s.io emoji retry.linkerd.io/http=gateway-error retry.linkerd.io/limit=2
    a split
      metadata.annotations[failover.linkerd.io/protection]: found "seamless" on a TrafficSplit, by its annotation, expected a route, which would get retry.linkerd.io/http: "gateway-error" and retry.linkerd.io/limit: "2" too; a TrafficSplit has warm standby alone, since its ServiceProfile hides Linkerd's retries; print the route that does the same with: kubectl -n emojivoto get trafficsplits.split.smi-spec.io emoji -o yaml | linkerd-failover migrate -f -
    a namespace that cannot be read
      metadata.annotations[failover.linkerd.io/protection]: found "full" on namespace emojivoto, expected "standard" or "seamless"; it is ignored; mend it with: kubectl annotate namespace emojivoto failover.linkerd.io/protection=seamless --overwrite
    "#);
}

/// How an author brings his manifest.
#[derive(Clone, Copy, Debug)]
enum Style {
    ClientSide,
    ServerSide,
    Replace,
}

/// What the API server makes of a manifest before it asks the webhook.
fn sent(
    style: Style,
    live: &DynamicObject,
    before: &Annotations,
    now: &Annotations,
) -> DynamicObject {
    let mut route = stored(two_rules());
    route.metadata.annotations = Some(now.clone());
    if matches!(style, Style::Replace) {
        return route;
    }
    let kept = live.annotations().iter().filter(|(name, _)| !before.contains_key(*name));
    let kept: Annotations = kept.map(|(name, value)| (name.clone(), value.clone())).collect();
    let mut annotations = kept;
    annotations.extend(now.clone());
    route.metadata.annotations = Some(annotations);
    let pairs: Vec<(&str, &str)> = now.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
    let names: Vec<&str> = now.keys().map(String::as_str).collect();
    match style {
        Style::ClientSide => applied_by_kubectl(route, &pairs),
        _ => owned_by(route, "flux", "Apply", &names),
    }
}

fn any_manifest() -> impl Strategy<Value = Annotations> {
    let one = |name: &'static str, values: &'static [&'static str]| {
        proptest::option::weighted(0.4, proptest::sample::select(values))
            .prop_map(move |value| value.map(|value| (name.to_owned(), value.to_owned())))
    };
    (
        one(HTTP, &["gateway-error", "5xx"]),
        one(LIMIT, &["2", "0", "3"]),
        one("retry.linkerd.io/timeout", &["1s"]),
        proptest::option::weighted(0.8, proptest::sample::select(&["seamless", "standard"][..])),
    )
        .prop_map(|(http, limit, timeout, protection)| {
            let protection = protection.map(|p| (annotations::PROTECTION.to_owned(), p.to_owned()));
            [http, limit, timeout, protection].into_iter().flatten().collect()
        })
}

proptest! {
    /// Whatever manifests an author brings, in one way or another: a second call changes nothing, what he has
    /// set stands as he set it, and the retries follow from the last manifest alone.
    #[test]
    fn the_retries_of_a_route_follow_from_its_last_manifest(
        manifests in proptest::collection::vec((any_manifest(), any::<bool>()), 1..5),
        style in proptest::sample::select(&[Style::ClientSide, Style::ServerSide, Style::Replace][..]),
        chart in any::<bool>(),
    ) {
        let mut world = world();
        if chart {
            world.defaults.protection = Protection::Seamless;
        }
        let mut live = stored(mutated(&world, None, &two_rules()));
        let mut before = map(&[]);
        for (manifest, has_service) in &manifests {
            let of_service: &[(&str, &str)] = if *has_service { &[(HTTP, "5xx")] } else { &[] };
            set_retries_of_service(&mut world, of_service);
            let sent = sent(style, &live, &before, manifest);
            let once = mutated(&world, Some(&live), &sent);
            prop_assert_eq!(&mutated(&world, Some(&live), &once), &once, "a second call");

            let is_seamless = manifest.get(annotations::PROTECTION).map_or(chart, |p| p == "seamless");
            let own: Annotations = manifest.clone().into_iter()
                .filter(|(name, _)| name.starts_with("retry.")).collect();
            let expected = match is_seamless && own.is_empty() && !has_service {
                true => map(&OURS),
                false => own,
            };
            prop_assert_eq!(retries(&once), expected);
            (live, before) = (once, manifest.clone());
        }
        let mut released = live.clone();
        released.labels_mut().remove(LABEL);
        let own: Annotations = before.into_iter().filter(|(n, _)| n.starts_with("retry.")).collect();
        prop_assert_eq!(retries(&mutated(&world, Some(&live), &released)), own);
    }
}
