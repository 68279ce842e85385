use super::*;
use crate::engine::intent::tests::declaration;
use crate::engine::{Declaration, Defaults, Health, Intent, MAX_WEIGHT, Now, Previous, decide};
use proptest::prelude::*;
use serde_json::{Value, json};

fn read(backends: &[(&str, Value)], annotations: &[(&str, &str)]) -> Intent {
    let mut read = Intent::read(&declaration(backends, annotations), &Defaults::default());
    assert_eq!(read.intents.len(), 1, "{:?}", read.problems);
    read.intents.remove(0)
}

/// The name, the author's weight and the live one of each backend.
fn weights(intent: &Intent) -> Vec<(&str, u32, u32)> {
    intent.backends.iter().map(|b| (b.name.as_str(), b.authored, b.live)).collect()
}

#[test]
fn weights_that_are_no_whole_numbers_are_read_in_the_same_proportions() {
    for (given, expected) in [
        ([json!("900m"), json!("100m")], [9, 1]),
        ([json!(0.5), json!(0.5)], [1, 1]),
        ([json!("900m"), json!(0)], [1, 0]),
        ([json!(0.25), json!(2)], [1, 8]),
        ([json!(MAX_WEIGHT + 1), json!(0)], [1, 0]),
        ([json!(400_000), json!(200_000)], [2, 1]),
        ([json!(300_001), json!(300_000)], [214_747, 214_746]),
        // What is no number counts as 1 on a primary, and as 0 on a fallback.
        ([json!(-1), json!(-1)], [1, 0]),
        ([json!("half"), json!("half")], [1, 0]),
        ([json!(-3), json!(5)], [1, 5]),
        ([json!(true), json!({"a": 1})], [1, 0]),
    ] {
        let intent = read(&[("a", given[0].clone()), ("b", given[1].clone())], &[]);
        let found: Vec<u32> = intent.backends.iter().map(|b| b.live).collect();
        assert_eq!(found, expected, "{given:?}");
        assert_eq!(intent.authored().values().copied().collect::<Vec<_>>(), expected);
    }
}

#[test]
fn weights_in_whole_numbers_do_not_change() {
    let declared = declaration(&[("a", json!(4)), ("b", json!(2))], &[]);
    assert!(matches!(declared.normalized(), Cow::Borrowed(_)));
}

#[test]
fn a_name_that_stands_twice_is_one_backend_with_the_weight_on_its_first_entry() {
    let backends = [("a", json!(1)), ("b", json!(0)), ("a", json!(2)), ("c", json!(0))];
    let intent = read(&backends, &[]);
    assert_eq!(weights(&intent), [("a", 3, 3), ("b", 0, 0), ("c", 0, 0)]);
    assert_eq!(intent.tiers, [vec![0], vec![1, 2]]);
    assert_eq!(intent.by_entry(&[0, 1, 1]), [0, 1, 0, 1]);
    let declared = declaration(&backends, &[]);
    let written = &declared.normalized().sets[0].written;
    assert_eq!(written["a"], [json!(1), json!(2)], "for the day the label goes");
    assert_eq!(written.len(), 1);
}

#[test]
fn the_weights_of_a_name_that_stands_twice_are_kept_while_ours_are_in_the_object() {
    const RECORD: &str = r#"{"v":1,"sets":{"":{"a":3,"b":0}},"written":{"":{"a":[1,2]}}}"#;
    let annotations = [("failover.linkerd.io/authored-weights", RECORD)];
    for live in [[0, 1, 0], [3, 0, 0]] {
        let [a, b, again] = live.map(|weight| json!(weight));
        let declared = declaration(&[("a", a), ("b", b), ("a", again)], &annotations);
        let record = declared.record().cloned();
        let written = declared.normalized().as_written(record.as_ref());
        assert_eq!(written[""]["a"], [json!(1), json!(2)], "{live:?}");
    }
    // Its author has written others past the webhook.
    let backends = [("a", json!(4)), ("b", json!(0)), ("a", json!(5))];
    let mut edited = declaration(&backends, &annotations);
    let record = edited.record().cloned();
    let mut sets = record.clone().unwrap().sets;
    sets.get_mut("").unwrap().insert("a".into(), 9);
    edited.annotations.set_record(AuthoredWeights::new(sets));
    let written = edited.normalized().as_written(record.as_ref());
    assert_eq!(written[""]["a"], [json!(4), json!(5)]);
}

#[test]
fn only_a_name_that_cannot_be_makes_a_backend_that_never_has_traffic() {
    let ready = [Health::seen(1, 1), Health::seen(1, 1), Health::seen(0, 1)];
    let foreign = "web.other.svc.cluster.local";
    for annotations in [
        vec![],
        vec![("failover.linkerd.io/pin", foreign)],
        vec![("failover.linkerd.io/failover-delay", "1h")],
        vec![("failover.linkerd.io/failback", "manual")],
    ] {
        for health in [
            ready.clone(),
            [ready[0].clone(), Health::Missing, Health::Missing],
            [ready[0].clone(), Health::seen(0, 0), Health::Missing],
        ] {
            let backends = [(foreign, json!(1)), ("web-b", json!(0)), ("web-c", json!(0))];
            let intent = read(&backends, &annotations);
            let mut health = health.to_vec();
            for (health, backend) in health.iter_mut().zip(&intent.backends) {
                if let Some(fault) = &backend.fault {
                    *health = fault.into();
                }
            }
            for previous in [Previous::Live, Previous::Birth] {
                let decision = decide(&intent, &health, previous, Now::default());
                assert_eq!(decision.weights[0], 0, "{annotations:?} {decision:?}");
                assert!(decision.weights.iter().any(|weight| *weight > 0));
            }
        }
    }
}

#[test]
fn where_no_primary_is_known_the_object_does_not_change() {
    let name = "failover.linkerd.io/primary-service";
    let backends = [("a", json!("900m")), ("b", json!(0))];
    for (backends, annotations) in [
        (&backends[..], vec![(name, "zzz")]),
        (&backends[..], vec![(name, "")]),
        (&[], vec![]),
        (&[("a.b", json!(1)), ("B", json!(0))], vec![]),
    ] {
        let read = Intent::read(&declaration(backends, &annotations), &Defaults::default());
        assert!(read.intents.is_empty() && !read.problems.is_empty(), "{read:?}");
    }
    let read = read(&backends, &[(name, "zzz,b")]);
    assert_eq!(read.primaries().collect::<Vec<_>>(), ["b"]);
}

#[test]
fn an_annotation_that_cannot_be_read_counts_as_its_default() {
    let prefixed = |name: &str| format!("failover.linkerd.io/{name}");
    for (name, value) in [
        ("min-ready", "0"),
        ("failover-delay", "30"),
        ("failback", "Manual"),
        ("warm-standby", "yes"),
        ("pin", "zzz"),
        ("fallback-order", "zzz"),
        ("authored-weights", "{"),
    ] {
        let backends = [("a", json!(1)), ("b", json!(0))];
        let read = read(&backends, &[(prefixed(name).as_str(), value)]);
        assert_eq!(read.policy, crate::engine::Policy::default(), "{name}");
        assert_eq!(read.tiers, [[0], [1]], "{name}");
    }
    let paused = [(prefixed("paused"), "True")];
    let paused = [(paused[0].0.as_str(), paused[0].1)];
    assert!(read(&[("a", json!(1)), ("b", json!(0))], &paused).policy.paused);
}

#[test]
fn problems_are_reported_all_the_same() {
    let backends = [("a", json!("900m")), ("a", json!(1)), ("b.c", json!(-1))];
    let declared = declaration(&backends, &[]);
    let read = Intent::read(&declared, &Defaults::default());
    let fields: Vec<_> = read.problems.iter().map(|p| p.field.to_string()).collect();
    assert_eq!(
        fields,
        [
            "spec.backends[2].service",
            "spec.backends[1].service",
            "spec.backends[0].weight",
            "spec.backends[2].weight",
        ]
    );
    assert_eq!(Intent::parse(&declared, &Defaults::default()), Err(read.problems));
}

fn any_weight() -> impl Strategy<Value = Value> {
    prop_oneof![
        (0..=MAX_WEIGHT).prop_map(|weight| json!(weight)),
        (0..5_u32).prop_map(|weight| json!(weight)),
        any::<f64>().prop_map(|weight| json!(weight)),
        (0..3_000_u32).prop_map(|weight| json!(format!("{weight}m"))),
        ".{0,8}".prop_map(|text| json!(text)),
        Just(json!(-1)),
    ]
}

proptest! {
    /// Whatever stands in an object: what is written keeps within what Linkerd carries, is never
    /// all zero, and gives nothing to what can be no Service.
    #[test]
    fn any_stored_backends_fail_over(
        names in proptest::collection::vec(prop_oneof!["[a-d]", "[a-c]\\.x", "[A-B]"], 1..8),
        weights in proptest::collection::vec(any_weight(), 8),
        ready in proptest::collection::vec(0..3_u32, 8),
    ) {
        let backends: Vec<_> =
            names.iter().map(String::as_str).zip(weights).collect();
        let declared: Declaration = declaration(&backends, &[]);
        let read = Intent::read(&declared, &Defaults::default());
        prop_assert!(read.intents.len() <= 1);
        for intent in read.intents {
            let health: Vec<Health> = intent.backends.iter().zip(&ready).map(|(backend, ready)| {
                backend.fault.as_ref().map_or(Health::seen(*ready, 2), Health::from)
            }).collect();
            let decision = decide(&intent, &health, Previous::Live, Now::default());
            let written = intent.by_entry(&decision.weights);
            prop_assert_eq!(written.len(), names.len());
            let sum: u64 = written.iter().map(|weight| u64::from(*weight)).sum();
            prop_assert!(sum > 0 && sum <= u64::from(MAX_WEIGHT), "{:?}", written);
            for (weight, name) in written.iter().zip(&names) {
                prop_assert!(*weight == 0 || name.len() == 1);
            }
        }
    }
}

#[test]
fn an_object_with_our_weights_is_read_as_its_author_wrote_it() {
    const RECORD: &str = r#"{"v":1,"sets":{"":{"a":3,"b":0}},"written":{"":{"a":[1,"2"]}}}"#;
    let annotations = [("failover.linkerd.io/authored-weights", RECORD)];
    let backends = [("a", json!(0)), ("b", json!(7)), ("a", json!(0)), ("a", json!(5))];
    let authored = declaration(&backends, &annotations).as_authored();
    let weights: Vec<_> = authored.backends().map(|backend| backend.weight.whole()).collect();
    // What is not recorded as text stands as it is.
    assert_eq!(weights, [Some(1), Some(7), Some(2), Some(5)]);
    let without_record = declaration(&backends, &[]);
    assert_eq!(without_record.as_authored(), without_record);
}

#[test]
fn weights_whose_sum_is_the_most_that_linkerd_carries_do_not_change() {
    let sum = |a: u32, b: u32| {
        let declared = declaration(&[("a", json!(a)), ("b", json!(b))], &[]);
        matches!(declared.normalized(), Cow::Borrowed(_))
    };
    assert!(sum(MAX_WEIGHT - 1, 1));
    assert!(!sum(MAX_WEIGHT - 1, 2));
}
