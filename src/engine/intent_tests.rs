use super::*;
use crate::engine::{
    Annotations, DeclaredBackend, Identity, MAX_WEIGHT, NamespaceDefault, ParsedWeight, Pin,
    Protection, ProtectionSources, SetState, State, annotations,
};
use jiff::SignedDuration;
use serde_json::json;

pub(crate) fn parsed(declared: &Declaration) -> Result<Intent, Vec<Problem>> {
    only(Intent::parse(declared, &Defaults::default()))
}

fn only(parsed: Result<Vec<Intent>, Vec<Problem>>) -> Result<Intent, Vec<Problem>> {
    let mut intents = parsed?;
    assert_eq!(intents.len(), 1);
    Ok(intents.remove(0))
}

/// A declaration with these backends and annotations.
pub(crate) fn declaration(
    backends: &[(&str, serde_json::Value)],
    annotations: &[(&str, &str)],
) -> Declaration {
    let path = FieldPath::from("spec.backends");
    let backends = backends.iter().enumerate().map(|(i, (name, weight))| DeclaredBackend {
        name: (*name).into(),
        weight: ParsedWeight::parse(Some(weight), 0, MAX_WEIGHT),
        port: None,
        path: path.index(i),
        entry: i,
        fault: None,
    });
    Declaration {
        apexes: vec!["emoji-svc".into()],
        sets: vec![DeclaredSet {
            backends: backends.collect(),
            path: path.clone(),
            ..DeclaredSet::default()
        }],
        annotations: Annotations::read(
            annotations.iter().map(|(k, v)| ((*k).into(), (*v).into())).collect(),
            MAX_WEIGHT,
        ),
        ..Declaration::default()
    }
}

fn fields(declared: &Declaration) -> Vec<String> {
    parsed(declared).unwrap_err().into_iter().map(|p| p.field.to_string()).collect()
}

#[test]
fn where_the_author_names_none_the_first_backend_is_the_primary() {
    let intent = parsed(&declaration(&[("a", json!(1)), ("b", json!(0)), ("c", json!(0))], &[]));
    let intent = intent.unwrap();
    assert_eq!(intent.tiers, vec![vec![0], vec![1, 2]]);
    assert!(intent.primary_is_default);
}

#[test]
fn the_author_names_the_primary() {
    let declared =
        declaration(&[("a", json!(1)), ("b", json!(0))], &[(annotations::PRIMARY_SERVICE, "b")]);
    let intent = parsed(&declared).unwrap();
    assert_eq!(intent.tiers, vec![vec![1], vec![0]]);
    assert!(!intent.primary_is_default);
}

#[test]
fn a_defaulted_primary_follows_the_first_backend() {
    let mut state = State::new(&Identity::new("a"), [(String::new(), SetState::default())].into());
    state.defaulted_primary = Some("old".into());
    let annotation = state.to_annotation();
    let declared = declaration(
        &[("new", json!(1)), ("b", json!(0))],
        &[(annotations::PRIMARY_SERVICE, "old"), (annotations::STATE, &annotation)],
    );
    let intent = parsed(&declared).unwrap();
    assert_eq!(intent.primaries().collect::<Vec<_>>(), ["new"]);
}

#[test]
fn recorded_weights_are_the_authors_and_live_ones_are_live() {
    let declared = declaration(
        &[("a", json!(0)), ("b", json!(1))],
        &[(annotations::AUTHORED_WEIGHTS, r#"{"v":1,"sets":{"":{"a":5,"b":0}}}"#)],
    );
    let intent = parsed(&declared).unwrap();
    assert_eq!((intent.backends[0].authored, intent.backends[0].live), (5, 0));
    assert_eq!((intent.backends[1].authored, intent.backends[1].live), (0, 1));
}

#[test]
fn every_problem_of_an_object_is_reported_at_once() {
    let declared = declaration(
        &[("a", json!(-1)), ("a", json!(0.5)), ("b", json!("500m"))],
        &[(annotations::PRIMARY_SERVICE, "zzz"), (annotations::AUTHORED_WEIGHTS, "{")],
    );
    assert_eq!(
        fields(&declared),
        [
            "spec.backends[1].service",
            "spec.backends[0].weight",
            "spec.backends[1].weight",
            "spec.backends[2].weight",
            "metadata.annotations[failover.linkerd.io/authored-weights]",
            "metadata.annotations[failover.linkerd.io/primary-service]",
        ]
    );
}

#[test]
fn an_object_without_apex_or_backends_is_refused() {
    assert_eq!(fields(&Declaration::default()), ["spec.service", "spec.backends"]);
}

#[test]
fn a_near_miss_of_the_primary_is_guessed() {
    let declared = declaration(
        &[("emoji-svc", json!(1)), ("emoji-svc-west", json!(0))],
        &[(annotations::PRIMARY_SERVICE, "emoji-scv")],
    );
    let problems = parsed(&declared).unwrap_err();
    assert!(problems[0].to_string().contains("did you mean emoji-svc?"), "{}", problems[0]);
}

const THREE: [&str; 3] = ["a", "b", "c"];

fn three(annotations: &[(&str, &str)]) -> Declaration {
    let prefixed: Vec<_> = annotations
        .iter()
        .map(|(name, value)| (format!("{}{name}", annotations::PREFIX), *value))
        .collect();
    let borrowed: Vec<_> = prefixed.iter().map(|(name, value)| (name.as_str(), *value)).collect();
    declaration(&THREE.map(|name| (name, json!(1))), &borrowed)
}

#[test]
fn the_author_orders_the_tiers() {
    for (annotations, tiers) in [
        (vec![("primary-service", "b")], vec![vec![1], vec![0, 2]]),
        (vec![("primary-service", " c , a ")], vec![vec![0, 2], vec![1]]),
        (vec![("primary-service", "a,b,c")], vec![vec![0, 1, 2]]),
        (vec![("fallback-order", "c,b")], vec![vec![0], vec![2], vec![1]]),
        // Fallbacks not named form one last tier.
        (vec![("fallback-order", "c")], vec![vec![0], vec![2], vec![1]]),
        (vec![("primary-service", "b"), ("fallback-order", "c")], vec![vec![1], vec![2], vec![0]]),
    ] {
        assert_eq!(parsed(&three(&annotations)).unwrap().tiers, tiers, "{annotations:?}");
    }
}

#[test]
fn min_ready_is_for_the_primaries_unless_backends_are_named() {
    use Threshold::{Count, Percent};
    for (min_ready, needed) in [
        ("2", [Count(2), Count(1), Count(1)]),
        ("50%", [Percent(50), Count(1), Count(1)]),
        ("b=3", [Count(1), Count(3), Count(1)]),
        ("a=60%, c=2", [Percent(60), Count(1), Count(2)]),
    ] {
        let intent = parsed(&three(&[("min-ready", min_ready)])).unwrap();
        let found: Vec<_> = intent.backends.iter().map(|b| b.min_ready).collect();
        assert_eq!(found, needed, "{min_ready}");
    }
}

#[test]
fn the_policy_is_what_the_annotations_say_and_the_defaults_where_they_are_silent() {
    let defaults = Defaults {
        failover_delay: SignedDuration::from_secs(1),
        failback_delay: SignedDuration::from_secs(2),
        warm_standby: true,
        protection: Protection::Seamless,
        namespace_protection: NamespaceDefault::Silent,
    };
    let silent = only(Intent::parse(&three(&[]), &defaults)).unwrap().policy;
    assert_eq!(silent.failover_delay, defaults.failover_delay);
    assert_eq!(silent.failback_delay, defaults.failback_delay);
    assert!(silent.warm_standby() == Some(true) && !silent.manual_failback && !silent.paused);

    let declared = three(&[
        ("failover-delay", "0s"),
        ("failback-delay", "1h30m"),
        ("warm-standby", "false"),
        ("protection", "standard"),
        ("failback", "manual"),
        ("failback-requested", "2026-01-31T14:30:00Z"),
        ("pin", "c,b"),
        ("pin-until", "2026-01-31T15:30:00+01:00"),
        ("paused", "true"),
    ]);
    let time = "2026-01-31T14:30:00Z".parse().unwrap();
    assert_eq!(
        only(Intent::parse(&declared, &defaults)).unwrap().policy,
        Policy {
            failback_delay: SignedDuration::from_mins(90),
            manual_failback: true,
            failback_requested: Some(time),
            protection: ProtectionSources {
                object: Some(Protection::Standard),
                namespace: NamespaceDefault::Silent,
                chart: Protection::Seamless,
                warm_standby: Some(false),
                chart_warm_standby: true,
            },
            pin: Some(Pin {
                backends: crate::engine::backend_index::at(&[1, 2]),
                until: Some(time)
            }),
            paused: true,
            // What was asked for is the default of the type.
            ..Policy::default()
        }
    );
}

/// Bad input: what each annotation is given, and what the problem must say beside the
/// annotation's name and the value.
#[test]
fn a_value_that_cannot_be_meant_is_a_problem_that_names_annotation_value_and_expectation() {
    let long = "9".repeat(400);
    for (name, value, expected) in [
        ("primary-service", "", "one of the backends (a, b, c)"),
        ("primary-service", "a,,b", "one of the backends (a, b, c), not \"\""),
        ("primary-service", "a,a", "a is named twice"),
        ("primary-service", "A", "one of the backends"),
        ("primary-service", "a.ns.svc.cluster.local", "one of the backends"),
        ("fallback-order", "", "one of the backends"),
        ("fallback-order", "a", "fallbacks only; a is a primary"),
        ("fallback-order", "b,b", "b is named twice"),
        ("fallback-order", "b,zzz", "not \"zzz\""),
        ("min-ready", "", "a count such as 2"),
        ("min-ready", "0", "a count such as 2"),
        ("min-ready", "101%", "1% to 100%"),
        ("min-ready", "-1", "a count such as 2"),
        ("min-ready", &long, "a count such as 2"),
        ("min-ready", "2,b=3", "a count such as 2"),
        ("min-ready", "b=3,b=2", "b is named twice"),
        ("min-ready", "zzz=1", "one of the backends"),
        ("min-ready", "b=", "a count such as 2"),
        ("failover-delay", "", "a duration such as 0s"),
        ("failover-delay", "30", "a duration such as 0s"),
        ("failover-delay", "-5s", "a duration such as 0s"),
        ("failover-delay", "169h", "at most 168h"),
        ("failover-delay", &long, "a duration such as 0s"),
        ("failback-delay", "1h ago", "a duration such as 0s"),
        ("failback-delay", "PT1H", "a duration such as 0s"),
        ("failback", "Manual", "\"automatic\" or \"manual\""),
        ("failback", "", "\"automatic\" or \"manual\""),
        ("failback-requested", "now", "an RFC 3339 time"),
        ("failback-requested", "2026-01-31", "an RFC 3339 time"),
        ("warm-standby", "yes", "\"true\" or \"false\""),
        ("paused", "True", "\"true\" or \"false\""),
        ("pin", "", "one of the backends"),
        ("pin", "zzz", "one of the backends"),
        ("pin", "b,b", "b is named twice"),
        ("pin-until", "2026-01-31T14:30:00Z", "failover.linkerd.io/pin beside it"),
        ("authored-weights", "null", "\"v\":1"),
    ] {
        let problems = parsed(&three(&[(name, value)])).unwrap_err();
        let field = format!("metadata.annotations[failover.linkerd.io/{name}]");
        assert_eq!(problems.len(), 1, "{name}={value}: {problems:?}");
        assert_eq!(problems[0].field, field.as_str());
        let problem = problems[0].to_string();
        assert!(problem.contains(expected), "{name}={value}: {problem}");
        let excerpt: String = value.chars().take(100).collect();
        assert!(name == "authored-weights" || problem.contains(&excerpt), "{problem}");
        assert!(problem.len() < 500, "{problem}");
    }
}

#[test]
fn a_sum_that_linkerd_cannot_carry_is_refused() {
    let half = MAX_WEIGHT / 2 + 1;
    let declared = declaration(&[("a", json!(half)), ("b", json!(half))], &[]);
    assert_eq!(fields(&declared), ["spec.backends"]);
    let declared = declaration(&[("a", json!(MAX_WEIGHT)), ("b", json!(0))], &[]);
    assert!(parsed(&declared).is_ok());
}

#[test]
fn a_split_with_100_backends_is_read() {
    let names: Vec<String> = (0..100).map(|i| format!("svc-{i}")).collect();
    let backends: Vec<_> = names.iter().map(|name| (name.as_str(), json!(1))).collect();
    let intent = parsed(&declaration(&backends, &[])).unwrap();
    assert_eq!(intent.tiers[1].len(), 99);
}

#[test]
fn a_name_that_no_service_can_have_is_corrected_where_that_can_be_guessed() {
    let letters = "lower-case letters, digits and '-', at most 63 of them";
    for (name, next) in [
        ("other/web", "write web if it is in this namespace"),
        ("web.other.svc.cluster.local", "write web if it is in this namespace"),
        ("WEB", letters),
        ("web_b.other", letters),
        ("-web", letters),
    ] {
        let problems = parsed(&declaration(&[("a", json!(1)), (name, json!(0))], &[])).unwrap_err();
        assert_eq!(problems.len(), 1, "{problems:?}");
        let step = problems[0].next.as_deref().unwrap_or_default();
        assert!(step.starts_with(next), "{name}: {step}");
    }
}

#[test]
fn an_object_with_several_apexes_names_them_all_in_a_sentence() {
    let mut declared = declaration(&[("a", json!(1)), ("b", json!(0))], &[]);
    declared.apexes.push("web-svc".into());
    assert_eq!(parsed(&declared).unwrap().apex(), "emoji-svc, web-svc");
}

#[test]
fn a_weight_is_found_where_it_was_recorded_when_the_rule_had_the_service_with_more_or_fewer_ports()
{
    for (name, recorded) in [("web", "web:80"), ("web:80", "web"), ("web", "web")] {
        let record = format!(r#"{{"v":1,"sets":{{"":{{"{recorded}":7}}}}}}"#);
        let backends = [(name, json!(0)), ("b", json!(1))];
        let mut declared = declaration(&backends, &[(annotations::AUTHORED_WEIGHTS, &record)]);
        declared.shape.crosses_namespaces = true;
        declared.sets[0].backends[0].port = Some(80);
        assert_eq!(parsed(&declared).unwrap().backends[0].authored, 7, "{name} {recorded}");
    }
}
