//! The work of reading and deciding grows with an object, and not with its square.

use crate::engine::intent::tests::declaration;
use crate::engine::work::steps;
use crate::engine::{
    AuthoredWeights, Declaration, Defaults, Health, Intent, Now, Previous, authored, decide,
    write_need,
};
use serde_json::json;

fn huge(backends: usize) -> Declaration {
    let names: Vec<String> = (0..backends).map(|i| format!("svc-{i}")).collect();
    let backends: Vec<_> = names.iter().map(|name| (name.as_str(), json!(1))).collect();
    let listed = names.join(",");
    let each: Vec<String> = names.iter().map(|name| format!("{name}=2")).collect();
    let prefixed = |name: &str| format!("failover.linkerd.io/{name}");
    let annotations = [
        (prefixed("primary-service"), names[..names.len() / 2].join(",")),
        (prefixed("fallback-order"), names[names.len() / 2..].join(",")),
        (prefixed("min-ready"), each.join(",")),
        (prefixed("pin"), listed),
        (prefixed("failover-delay"), "1h".into()),
    ];
    let annotations: Vec<_> =
        annotations.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    declaration(&backends, &annotations)
}

/// What it takes to read an object with so many backends, and to decide.
fn work(mut declared: Declaration, ready: bool) -> usize {
    let (steps, _) = steps(|| {
        let mut read = Intent::read(&declared, &Defaults::default());
        assert_eq!(read.intents.len(), 1, "{:?}", read.problems);
        let record = AuthoredWeights::new(authored(&read.intents));
        let mut intent = read.intents.remove(0);
        let health = vec![Health::seen(u32::from(ready) * 2, 2); intent.backends.len()];
        for pinned in [true, false] {
            if !pinned {
                intent.policy.pin = None;
            }
            let decision = decide(&intent, &health, Previous::Live, Now::default());
            let state = decision.state(&intent, &health, Now::default());
            let again = decide(&intent, &health, Previous::undelayed(&state), Now::default());
            write_need(&intent, Previous::undelayed(&state), &again);
        }
        declared.annotations.insert("x".into(), record.to_annotation());
        declared.normalized();
    });
    steps
}

#[test]
fn an_object_of_10_000_backends_takes_as_much_work_for_each_as_one_of_1_000() {
    for ready in [true, false] {
        let (small, large) = (work(huge(1_000), ready), work(huge(10_000), ready));
        assert!(large <= small * 11, "{small} steps for 1,000, {large} for 10,000");
        assert!(large <= 60 * 10_000, "{large}");
    }
}

#[test]
fn what_is_wrong_with_each_of_10_000_backends_takes_no_more() {
    let wrong = |backends: usize| {
        let mut declared = huge(backends);
        for (i, backend) in declared.sets[0].backends.iter_mut().enumerate() {
            backend.name = format!("svc-{}.x", i / 2);
        }
        let (steps, read) = steps(|| Intent::read(&declared, &Defaults::default()));
        assert!(read.problems.len() > backends);
        steps
    };
    for backends in [1_000, 10_000] {
        let steps = wrong(backends);
        assert!(steps <= 25 * backends, "{steps} steps for {backends}");
    }
}

#[test]
fn only_an_excerpt_of_an_annotation_of_a_megabyte_is_reported() {
    for value in [",".repeat(1_400_000), "zzz,".repeat(350_000), "x".repeat(1_400_000)] {
        for name in ["primary-service", "fallback-order", "min-ready", "pin"] {
            let name = format!("failover.linkerd.io/{name}");
            let backends = [("a", json!(1)), ("b", json!(0))];
            let declared = declaration(&backends, &[(name.as_str(), value.as_str())]);
            let (steps, read) = steps(|| Intent::read(&declared, &Defaults::default()));
            assert!((1..=20).contains(&read.problems.len()), "{name}");
            assert!(read.problems.iter().all(|problem| problem.to_string().len() < 1_000));
            assert!(steps < 1_000, "{steps}");
        }
    }
}
