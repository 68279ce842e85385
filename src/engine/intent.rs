//! What the author of an object asked for.

use crate::engine::declaration::other_name;
use crate::engine::policy::NamedPin;
use crate::engine::ports::{Peaks, PortCount};
use crate::engine::tiers::Preference;
use crate::engine::{
    BySet, Declaration, DeclaredSet, Defaults, Fault, FieldPath, Health, Policy, Problem,
    Threshold, WeightLimits, Weights, bounds, faults,
};
use std::collections::HashSet;

/// What the author asked for of one set of backends, checked: the only thing the engine knows of an
/// object.
#[derive(Clone, Debug, PartialEq)]
pub struct Intent {
    /// The set, as [`DeclaredSet::name`] has it.
    pub set: String,
    /// Its list of backends: `spec.rules[2].backendRefs`.
    pub path: FieldPath,
    /// The Services that clients call.
    pub apexes: Vec<String>,
    /// In the author's order; names are unique, and there is at least one.
    pub backends: Vec<Backend>,
    /// Indices of backends, the preferred tier first; each backend is in exactly one tier, no
    /// tier is empty. The first tier holds the primaries.
    pub tiers: Vec<Vec<usize>>,
    /// Whether the primary is the default because the author named none.
    pub primary_is_default: bool,
    pub policy: Policy,
    /// What its weights may be.
    pub limits: WeightLimits,
    /// Entries that name a backend once more: they have no weight beside the first.
    pub repeated: Box<[usize]>,
    /// Whether live weights stand for what is written otherwise: see [`Declaration::mended`].
    pub is_mended: bool,
}

/// A backend, its two weights, and what it needs.
#[derive(Clone, Debug, PartialEq)]
pub struct Backend {
    /// `name`, or `namespace/name` in another namespace than the object's.
    pub name: String,
    /// The Service's port that traffic goes to; none: the apex's ports.
    pub port: Option<u16>,
    /// What the author wants this backend to get when it is active.
    pub authored: u32,
    /// What stands in the object now.
    pub live: u32,
    pub min_ready: Threshold,
    /// 0 for a primary.
    pub tier: usize,
    /// Its place in the list of its set.
    pub entry: usize,
    pub fault: Option<Fault>,
}

impl Backend {
    /// Whether it may be given traffic at all.
    pub fn can_serve(&self) -> bool {
        !matches!(self.fault, Some(Fault::NoService(_)))
    }

    /// Whether it is known to have what it needs, on every port that counts. `recorded` is what a
    /// record says of the most that were ready before.
    pub(crate) fn is_met_by(&self, health: &Health, recorded: &Peaks) -> bool {
        let counts = health.counts();
        !counts.is_empty() && counts.iter().all(|count| self.is_met_on(count, recorded))
    }

    /// The same of one port.
    pub(crate) fn is_met_on(&self, count: &PortCount<'_>, recorded: &Peaks) -> bool {
        let recorded = match recorded.is_empty() {
            true => 0,
            false => recorded.get(&count.key(&self.name)).copied().unwrap_or_default(),
        };
        self.min_ready.is_met(count.ready, count.total, count.peak.max(recorded))
    }
}

/// What could be read of an object, and what is wrong with it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Reading {
    /// One for each set that fails over; none where no primary can be told.
    pub intents: Vec<Intent>,
    /// Everything that is wrong, as it is told to whoever writes such an object anew.
    pub problems: Vec<Problem>,
}

impl Reading {
    /// All of it, or everything that is in the way.
    pub fn strictly(self) -> Result<Vec<Intent>, Vec<Problem>> {
        if self.problems.is_empty() { Ok(self.intents) } else { Err(self.problems) }
    }

    /// What can be worked with, and what is wrong beside it; or everything that is in the way.
    pub fn leniently(self) -> Result<(Vec<Intent>, Vec<Problem>), Vec<Problem>> {
        if self.intents.is_empty() { Err(self.problems) } else { Ok((self.intents, self.problems)) }
    }
}

impl Intent {
    /// Reads what the author asked for, one intent for each set that fails over and at least one;
    /// or says everything that is in the way. What is written anew is read so.
    ///
    /// `defaults` hold where the author says nothing.
    pub fn parse(declared: &Declaration, defaults: &Defaults) -> Result<Vec<Self>, Vec<Problem>> {
        Self::read(declared, defaults).strictly()
    }

    /// Reads as much as can be read. What is stored is read so: the fault of one backend is that
    /// backend's alone, and where an annotation cannot be read, the defaults hold.
    pub fn read(declared: &Declaration, defaults: &Defaults) -> Reading {
        let mut said = vec![];
        let recorded = faults::recorded_weights(declared, &mut said);
        let preference = Preference::parse(declared, &mut said);
        let policy = Policy::parse(declared, defaults, &mut said);
        let pin = NamedPin::parse(declared, &mut said);

        let concerned: Vec<bool> =
            declared.sets.iter().map(|set| preference.concerns(set)).collect();
        let mut problems = declared.unreadable.clone();
        faults::of_object(declared, &mut problems);
        bounds::of_object(declared, &mut problems);
        for (set, _) in declared.sets.iter().zip(&concerned).filter(|(_, is)| **is) {
            problems.extend_from_slice(&set.unreadable);
            faults::of_set(declared, set, &mut problems);
        }
        if !concerned.contains(&true) {
            problems.extend(declared.sets.iter().flat_map(|set| set.unreadable.clone()));
            problems.extend(declared.without_primary().map(|set| faults::no_primary(set)));
        }
        problems.append(&mut said);
        let mended = declared.mended();
        let sets = declared.sets.iter().zip(&mended.sets).zip(&concerned);
        let intents = sets.filter(|(_, is)| **is).filter_map(|((found, set), _)| {
            let intent = Self::of_set(declared, set, &preference, &policy, &pin, &recorded);
            faults::sum(declared, found, recorded.get(&set.name), &mut problems);
            bounds::of_tiers(set, intent.tiers.len(), &mut problems);
            let can_fail_over = !preference.primaries(set).is_empty()
                && intent.backends.iter().any(Backend::can_serve);
            can_fail_over.then_some(intent)
        });
        let intents = intents.collect();
        let has_apex = !declared.apexes.is_empty();
        Reading { intents: if has_apex { intents } else { vec![] }, problems }
    }

    fn of_set(
        declared: &Declaration,
        set: &DeclaredSet,
        preference: &Preference,
        policy: &Policy,
        pin: &Option<NamedPin>,
        recorded: &BySet<Weights>,
    ) -> Self {
        let recorded = recorded.get(&set.name);
        let tiers = preference.tiers(set);
        let mut tier_of = vec![0; set.backends.len()];
        for (tier, members) in tiers.iter().enumerate() {
            for i in members {
                tier_of[*i] = tier;
            }
        }
        let backends = set.backends.iter().zip(tier_of).map(|(backend, tier)| {
            let live = backend.weight.whole().unwrap_or_default();
            let authored = recorded.and_then(|weights| {
                let other = || weights.get(&backend.other_name()?);
                weights.get(&backend.name).or_else(other).copied()
            });
            Backend {
                name: backend.name.clone(),
                port: backend.port,
                authored: authored.unwrap_or(live),
                live,
                min_ready: preference.needed(backend, tier == 0),
                tier,
                entry: backend.entry,
                fault: faults::of_backend(declared, backend),
            }
        });
        let backends: Vec<Backend> = backends.collect();
        let mut pin = pin.as_ref().and_then(|pin| pin.in_set(set));
        if let Some(pin) = &mut pin {
            pin.backends.retain(|i| backends[*i].can_serve());
        }
        Self {
            set: set.name.clone(),
            path: set.path.clone(),
            apexes: declared.apexes.clone(),
            backends,
            tiers,
            primary_is_default: preference.primary_is_default(),
            policy: Policy { pin: pin.filter(|pin| !pin.backends.is_empty()), ..policy.clone() },
            limits: declared.shape.limits,
            repeated: set.repeated.as_slice().into(),
            is_mended: !set.written.is_empty(),
        }
    }

    /// Whether it is a rule with one backend, whose weight means nothing: it is never written.
    pub fn is_alone(&self) -> bool {
        !self.set.is_empty() && self.backends.len() < 2
    }

    /// The Services that clients call, for a sentence.
    pub fn apex(&self) -> String {
        self.apexes.join(", ")
    }

    /// The names of the preferred backends.
    pub fn primaries(&self) -> impl Iterator<Item = &str> {
        self.tiers.iter().take(1).flatten().map(|i| self.backends[*i].name.as_str())
    }

    /// The primary, where it is the default because the author named none.
    pub fn own_primary(&self) -> Option<&str> {
        self.primaries().next().filter(|_| self.primary_is_default)
    }

    /// The tier of a backend, 0 for a primary.
    pub fn tier_of(&self, backend: usize) -> usize {
        self.backends.get(backend).map_or(self.tiers.len(), |backend| backend.tier)
    }

    /// Whether a backend belongs to the preferred tier.
    pub fn is_primary(&self, backend: usize) -> bool {
        self.tier_of(backend) == 0
    }

    /// The author's weights, by backend.
    pub fn authored(&self) -> Weights {
        self.backends.iter().map(|b| (b.name.clone(), b.authored)).collect()
    }

    /// Indices of the backends that carry traffic now.
    pub fn carrying(&self) -> Vec<usize> {
        (0..self.backends.len()).filter(|i| self.backends[*i].live > 0).collect()
    }

    /// Indices of the named backends that this intent has, ascending.
    pub fn indices<'a>(&self, names: impl IntoIterator<Item = &'a String>) -> Vec<usize> {
        let names: HashSet<&str> = names.into_iter().map(String::as_str).collect();
        let is_named = |i: &usize| {
            let Backend { name, port, .. } = &self.backends[*i];
            let other = || other_name(name, *port).is_some_and(|name| names.contains(&*name));
            names.contains(name.as_str()) || other()
        };
        (0..self.backends.len()).filter(is_named).collect()
    }

    /// Weights by the entries of its list, of which there are so many: what names a backend once
    /// more has 0.
    pub fn by_entry(&self, weights: &[u32]) -> Vec<u32> {
        let entries = self.backends.len() + self.repeated.len();
        let mut by_entry = vec![0; entries];
        for (backend, weight) in self.backends.iter().zip(weights) {
            if let Some(entry) = by_entry.get_mut(backend.entry) {
                *entry = *weight;
            }
        }
        by_entry
    }
}

/// The author's weights of all sets of an object that may be written.
pub(crate) fn authored(intents: &[Intent]) -> BySet<Weights> {
    let written = intents.iter().filter(|intent| !intent.is_alone());
    written.map(|intent| (intent.set.clone(), intent.authored())).collect()
}

/// The primary that is filled in because the author named none; none where the rules of a route
/// have different ones.
pub(crate) fn defaulted_primary(intents: &[Intent]) -> Option<String> {
    // A rule with one backend does not speak for the others.
    let most = intents.iter().map(|intent| intent.backends.len().min(2)).max()?;
    let speak = intents.iter().filter(|intent| intent.backends.len() >= most);
    let mut own = speak.map(|intent| intent.own_primary());
    let first = own.next()??;
    own.all(|other| other == Some(first)).then(|| first.to_owned())
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::engine::{
        Annotations, DeclaredBackend, Identity, MAX_WEIGHT, ParsedWeight, Pin, SetState, State,
        annotations,
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
        let mut state =
            State::new(&Identity::new("a"), [(String::new(), SetState::default())].into());
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
        let silent = only(Intent::parse(&three(&[]), &defaults)).unwrap().policy;
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
            only(Intent::parse(&said, &defaults)).unwrap().policy,
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
            assert_eq!(problems[0].field, field.as_str());
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
