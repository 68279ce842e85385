//! Properties of the engine over generated histories: health changes, edits, restarts, changes of
//! the leader, failed writes, and time that passes.

use crate::engine::intent::tests::{declaration, parsed};
use crate::engine::*;
use crate::simulation::clock::Clock;
use crate::simulation::controller::Controller;
use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;
use serde_json::json;

const NAMES: [&str; 4] = ["a", "b", "c", "d"];

#[derive(Clone, Debug)]
enum Step {
    Health {
        backend: usize,
        health: Health,
    },
    /// So many of a backend's ready endpoints are about to be deleted, for so many milliseconds.
    Announce {
        backend: usize,
        count: u32,
        lasts: i64,
    },
    /// So many milliseconds pass.
    Pass(i64),
    /// The author sets an annotation, or removes it.
    Edit {
        name: &'static str,
        value: Option<String>,
    },
    /// The process ends, and another begins: only what is recorded remains.
    Restart,
    /// The next write fails.
    Refuse,
    /// Somebody else writes weights.
    Undo,
}

fn any_health() -> impl Strategy<Value = Health> {
    prop_oneof![
        6 => (0_u32..=4, 0_u32..=2, 0_u32..=4).prop_map(|(ready, down, past)| Health::Seen {
            ready,
            total: ready + down,
            peak: ready.max(past),
            announced: None,
            ports: None,
        }),
        1 => Just(Health::Missing),
        1 => Just(Health::ExternalName),
        2 => Just(Health::Unknown(Unknown::NotLinked { cluster: "west".into() })),
        1 => Just(Health::Unknown(Unknown::Unreachable {
            cluster: "west".into(),
            since: Timestamp::UNIX_EPOCH,
        })),
        1 => Just(Health::Unreachable {
            cluster: "west".into(),
            since: Timestamp::UNIX_EPOCH,
        }),
    ]
}

fn any_edit() -> impl Strategy<Value = Step> {
    let one_of = |name: &'static str, values: &'static [&'static str]| {
        proptest::option::of(proptest::sample::select(values))
            .prop_map(move |value| Step::Edit { name, value: value.map(str::to_owned) })
    };
    prop_oneof![
        one_of(annotations::PRIMARY_SERVICE, &["a", "b", "a,b", "c,d", "a,b,c,d"]),
        one_of(annotations::FALLBACK_ORDER, &["d", "c,d", "d,c"]),
        one_of(annotations::MIN_READY, &["2", "60%", "a=2,c=50%", "b=3"]),
        one_of(annotations::FAILOVER_DELAY, &["0s", "500ms", "5s"]),
        one_of(annotations::FAILBACK_DELAY, &["0s", "1s", "1m"]),
        one_of(annotations::FAILBACK, &["manual", "automatic"]),
        one_of(annotations::WARM_STANDBY, &["true", "false"]),
        one_of(annotations::PIN, &["a", "c", "b,d"]),
        (0_i64..600_000).prop_map(|ms| Step::Edit {
            name: annotations::PIN_UNTIL,
            value: Some(Timestamp::from_millisecond(ms).unwrap().to_string()),
        }),
        (0_i64..600_000).prop_map(|ms| Step::Edit {
            name: annotations::FAILBACK_REQUESTED,
            value: Some(Timestamp::from_millisecond(ms).unwrap().to_string()),
        }),
    ]
}

fn any_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => (0..NAMES.len(), any_health()).prop_map(|(backend, health)| Step::Health { backend, health }),
        3 => (0..NAMES.len(), 1_u32..=4, 1_i64..40_000)
            .prop_map(|(backend, count, lasts)| Step::Announce { backend, count, lasts }),
        4 => (1_i64..20_000).prop_map(Step::Pass),
        2 => any_edit(),
        1 => Just(Step::Restart),
        1 => Just(Step::Refuse),
        1 => Just(Step::Undo),
    ]
}

/// One object and its controller. Health comes as the engine takes it: there is no API server here.
struct Object {
    declared: Declaration,
    health: Vec<Health>,
    clock: Clock,
    controller: Controller,
    refuse: bool,
    /// Changes of what should be so: of the decision, or of the weights by others.
    changes: usize,
    last: Option<Decision>,
}

impl Object {
    fn new() -> Self {
        let backends = [("a", json!(5)), ("b", json!(3)), ("c", json!(0)), ("d", json!(0))];
        Self {
            declared: declaration(&backends, &[]),
            health: vec![Health::seen(4, 4); NAMES.len()],
            clock: Clock::at_second(1),
            controller: Controller::default(),
            refuse: false,
            changes: 0,
            last: None,
        }
    }

    fn now(&self) -> Now {
        self.clock.now()
    }

    fn take(&mut self, step: Step) {
        match step {
            Step::Health { backend, health } => self.health[backend] = health,
            Step::Announce { backend, count, lasts } => {
                let until = self.now().steady.saturating_add(SignedDuration::from_millis(lasts));
                if let Health::Seen { ready, announced, .. } = &mut self.health[backend] {
                    let count = count.min(*ready);
                    *announced = (count > 0).then_some(Announced { count, until });
                }
            }
            Step::Pass(ms) => self.clock.pass(ms),
            Step::Edit { name, value } => {
                let before = self.declared.annotations.clone();
                match value {
                    Some(value) => self.declared.annotations.insert(name.into(), value),
                    None => self.declared.annotations.remove(name),
                };
                // The webhook refuses what cannot be read.
                if parsed(&self.declared).is_err() {
                    self.declared.annotations = before;
                }
            }
            Step::Restart => self.controller.restart(),
            Step::Refuse => self.refuse = true,
            Step::Undo => {
                self.set_weights(&[5, 3, 0, 0]);
                self.changes += 1;
            }
        }
        self.forget_what_is_past();
        self.control();
    }

    /// As the index counts what is announced.
    fn forget_what_is_past(&mut self) {
        let now = self.now().steady;
        for health in &mut self.health {
            if let Health::Seen { announced, .. } = health {
                *announced = announced.filter(|announced| announced.until > now);
            }
        }
    }

    fn set_weights(&mut self, weights: &[u32]) {
        for (backend, weight) in self.declared.sets[0].backends.iter_mut().zip(weights) {
            backend.weight = ParsedWeight::Whole(*weight);
        }
    }

    fn intent(&self) -> Intent {
        parsed(&self.declared).unwrap()
    }

    fn decide(&self) -> Decision {
        self.controller.decide(&self.intent(), &self.health, self.now())
    }

    /// What a controller does: decides, and writes where there is need.
    fn control(&mut self) {
        let (intent, decision) = (self.intent(), self.decide());
        self.controller.observe(&decision);
        let essence = |d: &Decision| {
            (
                d.active.clone(),
                d.weights.clone(),
                d.pending.clone(),
                d.reason == DecisionReason::Pinned,
                d.left.is_some(),
                d.awaiting_primary,
                d.left_early.clone(),
                d.short.clone(),
            )
        };
        if self.last.as_ref().map(essence) != Some(essence(&decision)) {
            self.changes += 1;
        }
        self.last = Some(decision.clone());
        if !self.controller.needs_write(&intent, &decision) {
            return;
        }
        if std::mem::take(&mut self.refuse) {
            self.changes += 1;
            return;
        }
        let authored = AuthoredWeights::new(authored(std::slice::from_ref(&intent)));
        self.declared.annotations.set_record(authored);
        self.controller.record(&intent, &self.health, &decision, self.now());
        self.set_weights(&decision.weights);
    }
}

fn known_down(health: &Health) -> bool {
    !health.is_ready() && !health.is_unknown()
}

/// What holds of every decision, whatever came before it.
fn check(object: &Object) -> Result<(), TestCaseError> {
    let (intent, decision) = (object.intent(), object.decide());
    let seen = |i: BackendIndex| i.of(&object.health).unwrap();
    let sum: u64 = decision.weights.iter().map(|w| u64::from(*w)).sum();
    prop_assert!(sum > 0, "all zero");
    prop_assert!(sum <= u64::from(MAX_WEIGHT), "more than Linkerd carries");

    // Ahead of a loss it is decided as if that had come, but for what has to serve until then.
    let is_early = !decision.left_early.is_empty();
    let gone = |i: BackendIndex| is_early && !decision.active.contains(&i);
    let expect = |(i, health): (BackendIndex, &Health)| match gone(i) {
        true => health.without_announced(),
        false => health.clone(),
    };
    let health: Vec<Health> =
        BackendIndex::all(object.health.len()).zip(&object.health).map(expect).collect();
    let expected = |i: BackendIndex| i.of(&health).unwrap();
    if is_early {
        let policy = &intent.policy;
        prop_assert!(policy.failover_delay.is_zero() && !policy.paused);
        let new = decision.active.iter().filter(|i| !decision.before.contains(i));
        let stays = |i: &BackendIndex| seen(*i).without_announced().is_ready();
        prop_assert!(new.clone().all(stays), "early to nothing: {decision:?}");
        prop_assert!(decision.left_early.iter().all(|i| seen(*i).is_ready()));
    }
    // What is about to go gets no traffic while anything that has it serves.
    let goes = |i: &BackendIndex| {
        seen(*i).announced().is_some() && !seen(*i).without_announced().is_ready()
    };
    if flips_early(&intent, object.now())
        && decision.active.iter().any(|i| !decision.before.contains(i) && goes(i))
    {
        let serves = |i: &BackendIndex| match *seen(*i) {
            Health::Seen { ready, total, peak, .. } => {
                intent.backends[*i].min_ready.is_met(ready, total, peak)
            }
            _ => false,
        };
        prop_assert!(!decision.before.iter().any(serves), "to what goes: {decision:?}");
    }
    let meets = |i: &BackendIndex| match *expected(*i) {
        Health::Seen { ready, total, peak, .. } => {
            intent.backends[*i].min_ready.is_met(ready, total, peak)
        }
        _ => false,
    };
    let ready = |i: &BackendIndex| expected(*i).is_ready();
    let all = || intent.indices_of_all();
    if decision.reason == DecisionReason::Pinned {
        prop_assert!(intent.policy.pin_at(object.now().wall).is_some(), "a pin that has ended");
        return Ok(());
    }
    // A dead backend keeps traffic only while its loss waits, or where nothing else is ready.
    let waits = |i: &BackendIndex| decision.pending.contains_key(&intent.backends[*i].name);
    for i in decision.active.iter().filter(|i| known_down(expected(**i)) && !waits(i)) {
        prop_assert!(!all().any(|j| ready(&j)), "on the dead {i:?}: {decision:?}");
    }
    // What cannot be seen keeps traffic that it has, and gets none while anything else is ready.
    for i in decision.active.iter().filter(|i| seen(**i).is_unknown()) {
        let had = decision.before.contains(i);
        prop_assert!(had || !all().any(|j| ready(&j)), "moved to the unknown {i:?}: {decision:?}");
    }
    // With no delay and nobody to wait for, the best tier has the traffic.
    let policy = &intent.policy;
    let at_once = policy.failover_delay.is_zero()
        && policy.failback_delay.is_zero()
        && !policy.manual_failback;
    let best = all().filter(meets).map(|i| intent.tier_of(i)).min();
    let unknown = |i: BackendIndex| seen(i).is_unknown();
    if let Some(best) = best
        .filter(|_| at_once && object.controller.state.as_ref().is_none_or(|s| s.peaks.is_empty()))
    {
        let tier = decision.active.iter().map(|i| intent.tier_of(*i)).min().unwrap();
        let held_unknown = decision.active.iter().any(|i| unknown(*i));
        prop_assert!(
            tier == best || held_unknown && tier < best,
            "tier {tier}, best {best}: {decision:?}"
        );
    }
    // Being out of reach from one replica is for the leader to judge.
    let unreached = |i: &BackendIndex| matches!(seen(*i), Health::Unreachable { .. });
    let left = decision.before.iter().filter(|i| !decision.active.contains(i));
    prop_assert!(!decision.rescue || !left.clone().any(unreached), "{decision:?}");
    // Every backend has its share, and nothing but its share.
    for i in all() {
        let weight = *i.of(&decision.weights).unwrap();
        let active = decision.active.contains(&i);
        let warm = policy.warm_standby() == Some(true) && !intent.is_primary(i) && ready(&i);
        let either = gone(i) && seen(i).announced().is_some();
        prop_assert!(either || (weight > 0) == (active || warm), "share of {i:?}: {decision:?}");
        prop_assert!(active || weight <= 1);
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]
    #[test]
    fn through_any_history_the_rules_of_the_engine_hold(
        history in proptest::collection::vec(any_step(), 1..120),
    ) {
        let mut object = Object::new();
        for step in history {
            object.take(step);
            check(&object)?;
            // Where nothing changes it comes to rest: a refused move, then the delay that begins
            // with it, and nothing more.
            object.control();
            object.control();
            let writes = object.controller.writes;
            object.control();
            prop_assert!(object.refuse || object.controller.writes == writes);
        }
        prop_assert!(object.controller.writes <= object.changes, "{} writes, {} changes", object.controller.writes, object.changes);
    }

    #[test]
    fn the_end_depends_on_the_final_facts_and_not_on_the_way_there(
        (one, two) in (
            proptest::collection::vec(any_step(), 0..60),
            proptest::collection::vec(any_step(), 0..60),
        ),
        edits in proptest::collection::vec(any_edit(), 0..4),
        health in proptest::collection::vec((0_u32..=3, 0_u32..=2), NAMES.len()),
    ) {
        let end = |history: Vec<Step>| {
            let mut object = Object::new();
            for step in history {
                object.take(step);
            }
            object.refuse = false;
            // The final facts: the author's last word (no stay that a person would have to end),
            // and a health that is known, and long enough so that no past is left.
            object.declared.annotations = Annotations::default();
            object.declared.annotations.insert(
                annotations::AUTHORED_WEIGHTS.into(),
                AuthoredWeights::new([(String::new(), [("a", 5), ("b", 3), ("c", 0), ("d", 0)].map(|(n, w)| (n.to_owned(), w)).into())].into()).to_annotation(),
            );
            for edit in edits.iter().cloned() {
                object.take(edit);
            }
            object.declared.annotations.remove(annotations::FAILBACK);
            for (backend, (ready, down)) in health.iter().enumerate() {
                object.health[backend] = Health::seen(*ready, ready + down);
            }
            object.clock.millis = object.clock.millis.max(10_000_000);
            for _ in 0..4 {
                object.control();
                object.clock.pass(120_000);
            }
            object.control();
            object
        };
        let (one, two) = (end(one), end(two));
        prop_assume!(one.health.iter().any(Health::is_ready));
        // A percentage is measured by what was, on purpose.
        let percent = |o: &Object| o.intent().backends.iter().any(|b| matches!(b.min_ready, Threshold::Percent(_)));
        prop_assume!(!percent(&one));
        let state = |o: &Object| o.controller.state.clone().map_or_else(|| {
            o.intent().carrying().iter().map(|i| (*i.of(&NAMES).unwrap()).to_owned()).collect()
        }, |s| s.active);
        prop_assert_eq!(state(&one), state(&two));
        prop_assert_eq!(one.intent().backends, two.intent().backends);
    }

    #[test]
    fn a_pin_always_ends_and_a_manual_stay_ends_by_a_request(
        history in proptest::collection::vec(any_step(), 0..60),
    ) {
        let mut object = Object::new();
        for step in history {
            object.take(step);
        }
        object.refuse = false;
        object.declared.annotations = Annotations::default();
        let until = object.now().wall + SignedDuration::from_secs(90);
        for (name, value) in [
            (annotations::PIN, "c".to_owned()),
            (annotations::PIN_UNTIL, until.to_string()),
            (annotations::FAILBACK, "manual".to_owned()),
            (annotations::FAILBACK_REQUESTED, until.to_string()),
        ] {
            object.take(Step::Edit { name, value: Some(value) });
        }
        object.health = vec![Health::seen(4, 4); NAMES.len()];
        object.control();
        prop_assert_eq!(&object.controller.state.as_ref().unwrap().active, &["c"]);
        let wakes = object.decide().next.unwrap();
        prop_assert!(wakes <= SignedDuration::from_secs(90));
        object.clock = Clock::at_millis(until.as_millisecond() - 1);
        object.control();
        prop_assert_eq!(&object.controller.state.as_ref().unwrap().active, &["c"]);
        object.clock.pass(1);
        object.control();
        prop_assert_eq!(&object.controller.state.as_ref().unwrap().active, &["a"]);
    }

    #[test]
    fn no_delay_ends_early_whatever_restarts_and_failed_writes_come_between(
        steps in proptest::collection::vec(prop_oneof![
            4 => (1_i64..900).prop_map(Step::Pass),
            1 => Just(Step::Restart),
            1 => Just(Step::Refuse),
        ], 1..60),
    ) {
        let mut object = Object::new();
        object.take(Step::Edit { name: annotations::FAILOVER_DELAY, value: Some("5s".into()) });
        let lost = object.clock.millis;
        object.take(Step::Health { backend: 0, health: Health::seen(0, 4) });
        for step in steps {
            object.take(step);
            let left = object.controller.state.as_ref().is_some_and(|s| s.active != ["a"]);
            prop_assert!(!left || object.clock.millis - lost >= 5_000, "left after {} ms", object.clock.millis - lost);
        }
    }
}
