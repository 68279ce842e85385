//! What the author of an object asked for.

use super::tiers::Tiers;
use super::{
    AuthoredWeights, Declaration, Defaults, MAX_WEIGHT, ParsedWeight, Policy, Problem, Threshold,
    Weights, annotations,
};
use std::collections::{BTreeMap, HashSet};

/// What the author asked for, checked: the only thing the engine knows of an object.
#[derive(Clone, Debug, PartialEq)]
pub struct Intent {
    /// The Service that clients call.
    pub apex: String,
    /// In the author's order; names are unique, and there is at least one.
    pub backends: Vec<Backend>,
    /// Indices of backends, the preferred tier first; each backend is in exactly one tier, no
    /// tier is empty. The first tier holds the primaries.
    pub tiers: Vec<Vec<usize>>,
    /// Whether the primary is the default because the author named none.
    pub primary_is_default: bool,
    pub policy: Policy,
}

/// A backend, its two weights, and what it needs.
#[derive(Clone, Debug, PartialEq)]
pub struct Backend {
    pub name: String,
    /// What the author wants this backend to get when it is active.
    pub authored: u32,
    /// What stands in the object now.
    pub live: u32,
    pub min_ready: Threshold,
}

impl Intent {
    /// Reads what the author asked for, or says everything that is in the way.
    ///
    /// `defaults` hold where the author says nothing.
    pub fn parse(declared: &Declaration, defaults: &Defaults) -> Result<Self, Vec<Problem>> {
        let mut problems = declared.unreadable.clone();
        if declared.apex.is_empty() && problems.iter().all(|p| p.field != "spec.service") {
            problems.push(
                Problem::error("spec.service")
                    .found("nothing")
                    .expected("the Service that clients call"),
            );
        }
        if declared.backends.is_empty() && problems.iter().all(|p| p.field != "spec.backends") {
            problems.push(
                Problem::error("spec.backends")
                    .found("no backends")
                    .expected("the primary and at least one fallback"),
            );
        }
        names(declared, &mut problems);
        duplicates(declared, &mut problems);
        weights(declared, &mut problems);
        let recorded = recorded_weights(declared, &mut problems).unwrap_or_default();
        let tiers = Tiers::parse(declared, &mut problems);
        let needed = tiers.thresholds(declared, &mut problems);
        let policy = Policy::parse(declared, defaults, &mut problems);
        let backends: Vec<Backend> = declared
            .backends
            .iter()
            .zip(needed)
            .map(|(backend, min_ready)| {
                let live = backend.weight.whole().unwrap_or_default();
                let authored = recorded.get(&backend.name).copied().unwrap_or(live);
                Backend { name: backend.name.clone(), authored, live, min_ready }
            })
            .collect();
        sum(&backends, &mut problems);
        if !problems.is_empty() {
            return Err(problems);
        }
        let Tiers { tiers, primary_is_default } = tiers;
        Ok(Self { apex: declared.apex.clone(), backends, tiers, primary_is_default, policy })
    }

    /// The names of the preferred backends.
    pub fn primaries(&self) -> impl Iterator<Item = &str> {
        self.tiers.iter().take(1).flatten().map(|i| self.backends[*i].name.as_str())
    }

    /// The tier of a backend, 0 for a primary.
    pub fn tier_of(&self, backend: usize) -> usize {
        self.tiers.iter().position(|tier| tier.contains(&backend)).unwrap_or(self.tiers.len())
    }

    /// Whether a backend belongs to the preferred tier.
    pub fn is_primary(&self, backend: usize) -> bool {
        self.tiers.first().is_some_and(|tier| tier.contains(&backend))
    }

    /// The author's weights, by backend.
    pub fn authored(&self) -> Weights {
        self.backends.iter().map(|b| (b.name.clone(), b.authored)).collect()
    }

    /// Indices of the backends that carry traffic now.
    pub fn carrying(&self) -> Vec<usize> {
        (0..self.backends.len()).filter(|i| self.backends[*i].live > 0).collect()
    }

    /// Indices of the named backends that this intent has.
    pub fn indices<'a>(&self, names: impl IntoIterator<Item = &'a String>) -> Vec<usize> {
        let names: HashSet<_> = names.into_iter().collect();
        (0..self.backends.len()).filter(|i| names.contains(&self.backends[*i].name)).collect()
    }
}

/// Whether a Service can have this name: an RFC 1123 label.
pub fn is_service_name(name: &str) -> bool {
    let ends = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit();
    let bytes = name.as_bytes();
    (1..=63).contains(&bytes.len())
        && bytes.iter().all(|c| ends(*c) || *c == b'-')
        && bytes.first().is_some_and(|c| ends(*c))
        && bytes.last().is_some_and(|c| ends(*c))
}

/// Names that no Service of the object's own namespace can have.
fn names(declared: &Declaration, problems: &mut Vec<Problem>) {
    let backends = declared.backends.iter().map(|b| (format!("{}.service", b.path), &b.name));
    let apex = [("spec.service".to_owned(), &declared.apex)];
    let wrong = |(_, name): &(String, &String)| !name.is_empty() && !is_service_name(name);
    for (field, name) in apex.into_iter().chain(backends).filter(wrong) {
        let problem = Problem::error(field)
            .found(format!("{name:?}"))
            .expected("the bare name of a Service in the object's own namespace");
        let short = name.rsplit('/').next().and_then(|name| name.split('.').next());
        problems.push(match short.filter(|short| *short != name && is_service_name(short)) {
            Some(short) => problem.next(format!(
                "write {short} if it is in this namespace; a Service of another one cannot be named: make one here, or mirror it"
            )),
            None => problem.next("lower-case letters, digits and '-', at most 63 of them"),
        });
    }
}

fn duplicates(declared: &Declaration, problems: &mut Vec<Problem>) {
    let mut seen = BTreeMap::new();
    for backend in &declared.backends {
        if let Some(first) = seen.insert(&backend.name, &backend.path) {
            problems.push(
                Problem::error(format!("{}.service", backend.path))
                    .found(format!("{:?}, which {first} has already", backend.name))
                    .expected("each backend once")
                    .about(backend.name.as_str())
                    .next("remove one of the two, or name another Service"),
            );
            seen.insert(&backend.name, first);
        }
    }
}

fn weights(declared: &Declaration, problems: &mut Vec<Problem>) {
    for backend in &declared.backends {
        if let ParsedWeight::Unreadable(found) = &backend.weight {
            problems.push(
                Problem::error(format!("{}.weight", backend.path))
                    .found(found)
                    .expected(format!("a whole number from 0 to {MAX_WEIGHT}"))
                    .about(backend.name.as_str()),
            );
        }
    }
}

fn recorded_weights(declared: &Declaration, problems: &mut Vec<Problem>) -> Option<Weights> {
    let text = declared.annotations.get(annotations::AUTHORED_WEIGHTS)?;
    match AuthoredWeights::parse(text) {
        Ok(mut read) => read.sets.remove(""),
        Err(problem) => {
            problems.push(problem);
            None
        }
    }
}

/// Linkerd cannot carry a larger sum, and any of the backends may be active together.
fn sum(backends: &[Backend], problems: &mut Vec<Problem>) {
    let sum: u64 = backends.iter().map(|b| u64::from(b.authored)).sum();
    if sum > u64::from(MAX_WEIGHT) {
        problems.push(
            Problem::error("spec.backends")
                .found(format!("weights that sum to {sum}"))
                .expected(format!("a sum of at most {MAX_WEIGHT}, which is what Linkerd can carry"))
                .about("sum")
                .next("divide all weights by the same number: only their proportions matter"),
        );
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::failover::{DeclaredBackend, Identity, Pin, SetState, State};
    use jiff::SignedDuration;
    use serde_json::json;

    pub(crate) fn parsed(declared: &Declaration) -> Result<Intent, Vec<Problem>> {
        Intent::parse(declared, &Defaults::default())
    }

    /// A declaration with these backends and annotations.
    pub(crate) fn declaration(
        backends: &[(&str, serde_json::Value)],
        annotations: &[(&str, &str)],
    ) -> Declaration {
        Declaration {
            apex: "emoji-svc".into(),
            backends: backends
                .iter()
                .enumerate()
                .map(|(i, (name, weight))| DeclaredBackend {
                    name: (*name).into(),
                    weight: ParsedWeight::parse(Some(weight)),
                    path: format!("spec.backends[{i}]"),
                })
                .collect(),
            annotations: annotations.iter().map(|(k, v)| ((*k).into(), (*v).into())).collect(),
            unreadable: vec![],
        }
    }

    fn fields(declared: &Declaration) -> Vec<String> {
        parsed(declared).unwrap_err().into_iter().map(|p| p.field).collect()
    }

    #[test]
    fn without_a_word_from_the_author_the_first_backend_is_the_primary() {
        let intent =
            parsed(&declaration(&[("a", json!(1)), ("b", json!(0)), ("c", json!(0))], &[]));
        let intent = intent.unwrap();
        assert_eq!(intent.tiers, vec![vec![0], vec![1, 2]]);
        assert!(intent.primary_is_default);
    }

    #[test]
    fn the_author_names_the_primary() {
        let declared = declaration(
            &[("a", json!(1)), ("b", json!(0))],
            &[(annotations::PRIMARY_SERVICE, "b")],
        );
        let intent = parsed(&declared).unwrap();
        assert_eq!(intent.tiers, vec![vec![1], vec![0]]);
        assert!(!intent.primary_is_default);
    }

    #[test]
    fn a_defaulted_primary_follows_the_first_backend() {
        let mut state = State::new(&Identity::new("a"), SetState::default());
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
    fn every_problem_of_an_object_is_told_at_once() {
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
        let borrowed: Vec<_> =
            prefixed.iter().map(|(name, value)| (name.as_str(), *value)).collect();
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
            (
                vec![("primary-service", "b"), ("fallback-order", "c")],
                vec![vec![1], vec![2], vec![0]],
            ),
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
        };
        let silent = Intent::parse(&three(&[]), &defaults).unwrap().policy;
        assert_eq!(silent.failover_delay, defaults.failover_delay);
        assert_eq!(silent.failback_delay, defaults.failback_delay);
        assert!(silent.warm_standby && !silent.manual_failback && !silent.paused);

        let said = three(&[
            ("failover-delay", "0s"),
            ("failback-delay", "1h30m"),
            ("warm-standby", "false"),
            ("failback", "manual"),
            ("failback-requested", "2026-01-31T14:30:00Z"),
            ("pin", "c,b"),
            ("pin-until", "2026-01-31T15:30:00+01:00"),
            ("paused", "true"),
        ]);
        let time = "2026-01-31T14:30:00Z".parse().unwrap();
        assert_eq!(
            Intent::parse(&said, &defaults).unwrap().policy,
            Policy {
                failover_delay: SignedDuration::ZERO,
                failback_delay: SignedDuration::from_mins(90),
                manual_failback: true,
                failback_requested: Some(time),
                warm_standby: false,
                pin: Some(Pin { backends: vec![1, 2], until: Some(time) }),
                paused: true,
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
            assert_eq!(problems[0].field, field);
            let said = problems[0].to_string();
            assert!(said.contains(expected), "{name}={value}: {said}");
            let excerpt: String = value.chars().take(100).collect();
            assert!(name == "authored-weights" || said.contains(&excerpt), "{said}");
            assert!(said.len() < 500, "{said}");
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
}
