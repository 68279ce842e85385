//! Properties of declarations over generated histories: Services are declared down, by alerts and by people, and
//! no longer; endpoints come and go; the process restarts; time passes, and nobody looks but when asked to.

use crate::engine::intent::tests::{declaration, parsed};
use crate::engine::*;
use crate::simulation::clock::Clock;
use crate::simulation::controller::Controller;
use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;
use serde_json::json;

const NAMES: [&str; 3] = ["a", "b", "c"];

/// More wake-ups than this in one span of time are an endless loop.
const MOST_WAKES: usize = 200;

#[derive(Clone, Debug)]
enum Step {
    /// A backend is declared down for so many seconds.
    Declare {
        backend: usize,
        seconds: i64,
    },
    /// It is declared down no more.
    End(usize),
    Endpoints {
        backend: usize,
        ready: bool,
    },
    /// So many seconds pass.
    Pass(i64),
    /// The process ends, and another begins: only what is recorded remains.
    Restart,
}

fn declares(backends: usize) -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0..backends, 1_i64..1_500)
            .prop_map(|(backend, seconds)| Step::Declare { backend, seconds }),
        3 => (0..backends).prop_map(Step::End),
        6 => (1_i64..900).prop_map(Step::Pass),
        1 => Just(Step::Restart),
    ]
}

fn any_step() -> impl Strategy<Value = Step> {
    let endpoints = (0..NAMES.len(), any::<bool>());
    prop_oneof![
        3 => declares(NAMES.len()),
        1 => endpoints.prop_map(|(backend, ready)| Step::Endpoints { backend, ready }),
    ]
}

/// A stay off the first backend, in seconds.
#[derive(Clone, Copy, Debug)]
struct Stay {
    left: i64,
    returned: i64,
}

/// One object with a primary and two fallbacks in order, the replica that leads, and what is declared.
struct World {
    intent: Intent,
    until: [Option<Timestamp>; NAMES.len()],
    ready: [bool; NAMES.len()],
    clock: Clock,
    controller: Controller,
    left: Option<i64>,
    stays: Vec<Stay>,
    /// When it has asked to look again.
    wake: Option<i64>,
}

impl World {
    fn new() -> Self {
        Self::with(&[])
    }

    /// With these annotations beside the order.
    fn with(policy: &[(&'static str, &str)]) -> Self {
        let backends = [("a", json!(1)), ("b", json!(0)), ("c", json!(0))];
        let order = [(annotations::FALLBACK_ORDER, "b,c")];
        let all: Vec<_> = order.iter().chain(policy).copied().collect();
        let mut world = Self {
            intent: parsed(&declaration(&backends, &all)).unwrap(),
            until: [None; NAMES.len()],
            ready: [true; NAMES.len()],
            clock: Clock::at_second(1_000_000),
            controller: Controller::default(),
            left: None,
            stays: vec![],
            wake: None,
        };
        world.control();
        world
    }

    fn second(&self) -> i64 {
        self.clock.millis / 1_000
    }

    fn is_declared(&self, backend: usize, now: Now) -> bool {
        self.until[backend].is_some_and(|until| now.wall < until)
    }

    /// As the index of a replica whose clock shows this time has it.
    fn health(&self, now: Now) -> Vec<Health> {
        let health = |backend: usize| {
            let seen = Health::seen(u32::from(self.ready[backend]), 1);
            match self.until[backend].filter(|until| now.wall < *until) {
                Some(until) => Health::DeclaredDown(Box::new(DownUntil {
                    until,
                    why: "drill".into(),
                    basis: DownBasis::Declared,
                    by_person: false,
                    seen,
                })),
                None => seen,
            }
        };
        (0..NAMES.len()).map(health).collect()
    }

    fn take(&mut self, step: &Step) {
        let now = self.clock.now().wall;
        match *step {
            Step::Declare { backend, seconds } => {
                self.until[backend] = Some(now + SignedDuration::from_secs(seconds));
            }
            Step::End(backend) => self.until[backend] = None,
            Step::Endpoints { backend, ready } => self.ready[backend] = ready,
            Step::Pass(seconds) => return self.pass(seconds),
            Step::Restart => self.controller.restart(),
        }
        self.control();
    }

    /// Time passes, and the leader looks again only when it has asked to.
    fn pass(&mut self, seconds: i64) {
        let end = self.clock.millis + seconds * 1_000;
        for _ in 0..MOST_WAKES {
            let Some(next) = self.wake.filter(|wake| *wake <= end) else {
                self.clock.millis = end;
                return;
            };
            self.clock.millis = next;
            self.control();
        }
        panic!("wakes up without end");
    }

    /// The leader decides, and writes where there is need.
    fn control(&mut self) {
        let now = self.clock.now();
        let health = self.health(now);
        let decision = self.controller.decide(&self.intent, &health, now);
        self.controller.observe(&decision);
        let after = |next: SignedDuration| i64::try_from(next.as_millis()).unwrap().max(1);
        self.wake = decision.next.map(|next| self.clock.millis + after(next));
        if self.controller.needs_write(&self.intent, &decision) {
            self.controller.record(&self.intent, &health, &decision, now);
            for (backend, weight) in self.intent.backends.iter_mut().zip(&decision.weights) {
                backend.live = *weight;
            }
        }
        self.note_stay();
    }

    fn note_stay(&mut self) {
        let (on_first, second) = (self.active() == ["a"], self.second());
        match self.left {
            None if !on_first => self.left = Some(second),
            Some(left) if on_first => {
                self.stays.push(Stay { left, returned: second });
                self.left = None;
            }
            _ => {}
        }
    }

    fn active(&self) -> Vec<String> {
        let carrying = || self.intent.carrying();
        let live = || carrying().iter().map(|i| self.intent.backends[*i].name.clone()).collect();
        self.controller.state.as_ref().map_or_else(live, |state| state.active.clone())
    }

    /// Ready before declared down with endpoints before nothing ready. A backend that stays away longer counts
    /// as declared down.
    fn rank(&self, backend: usize, now: Now) -> u8 {
        let name = NAMES[backend];
        let down = self.controller.state.as_ref().and_then(|state| state.down.get(name));
        let waits = down.is_some_and(|down| {
            let least = SignedDuration::from_secs(down.least.into());
            down.returned.is_none() && now.wall < down.since + least
        });
        match (self.ready[backend], self.is_declared(backend, now) || waits) {
            (false, _) => 0,
            (true, true) => 1,
            (true, false) => 2,
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_000, ..ProptestConfig::default() })]

    #[test]
    fn no_swing_is_faster_than_the_wait_which_doubles_each_time(
        history in proptest::collection::vec(declares(1), 1..80),
        failback_delay in prop_oneof![Just("0s"), Just("5m")],
    ) {
        let mut world = World::with(&[(annotations::FAILBACK_DELAY, failback_delay)]);
        for step in &history {
            world.take(step);
        }
        for pair in world.stays.windows(2) {
            let [before, after] = pair else { unreachable!() };
            let stayed = (before.returned - before.left).clamp(60, 3_600);
            if after.left - before.returned < 600 {
                let least = (2 * stayed).min(3_600);
                prop_assert!(after.returned - after.left >= least, "{pair:?}");
            }
        }
    }

    #[test]
    fn where_nothing_is_repeated_a_declaration_lasts_as_long_as_it_says(
        seconds in 1_i64..5_000, pause in 600_i64..5_000, times in 1_usize..5,
    ) {
        let mut world = World::new();
        for _ in 0..times {
            world.take(&Step::Declare { backend: 0, seconds });
            world.take(&Step::Pass(seconds + pause));
        }
        prop_assert_eq!(world.stays.len(), times);
        prop_assert!(world.stays.iter().all(|stay| stay.returned - stay.left == seconds));
    }

    #[test]
    fn traffic_is_never_on_the_worse_side(
        history in proptest::collection::vec(any_step(), 1..80),
    ) {
        let mut world = World::new();
        for step in &history {
            world.take(step);
            let now = world.clock.now();
            let ranks: Vec<u8> = (0..NAMES.len()).map(|i| world.rank(i, now)).collect();
            let best = *ranks.iter().max().unwrap();
            let first = ranks.iter().position(|rank| *rank == best).unwrap();
            prop_assert!(
                best == 0 || world.active() == [NAMES[first]],
                "{:?} with {ranks:?} after {step:?}", world.active()
            );
        }
    }

    #[test]
    fn what_is_declared_down_is_left_at_once_whatever_the_delay(
        history in proptest::collection::vec(any_step(), 1..80),
    ) {
        let mut world = World::with(&[(annotations::FAILOVER_DELAY, "1h")]);
        for step in &history {
            world.take(step);
            let (now, active) = (world.clock.now(), world.active());
            let stays = |i: usize| world.is_declared(i, now) && active == [NAMES[i]];
            let stays = (0..NAMES.len()).any(stays);
            let has_refuge = (0..NAMES.len()).any(|i| world.rank(i, now) == 2);
            prop_assert!(!stays || !has_refuge, "{active:?} after {step:?}");
        }
    }

    #[test]
    fn every_declaration_ends_by_itself_and_nobody_has_to_look(
        history in proptest::collection::vec(any_step(), 1..60),
    ) {
        let mut world = World::new();
        for step in &history {
            world.take(step);
        }
        for backend in 0..NAMES.len() {
            world.take(&Step::Endpoints { backend, ready: true });
        }
        // The longest declaration, and the longest wait.
        world.take(&Step::Pass(1_500 + 3_600));
        prop_assert_eq!(world.active(), ["a"]);
        let away = world.controller.state.iter().flat_map(|state| state.down.values());
        prop_assert!(away.clone().all(|down| down.returned.is_some()), "{:?}", world.controller.state);
    }

    #[test]
    fn a_standby_neither_leaves_nor_returns_whatever_its_clock_shows(
        history in proptest::collection::vec(any_step(), 1..60),
        skew in -4_000_i64..4_000,
    ) {
        let mut world = World::new();
        for step in &history {
            world.take(step);
            let mut clock = world.clock;
            clock.pass(skew * 1_000);
            let (now, state) = (clock.now(), world.controller.state.as_ref());
            let health = as_recorded(&world.intent, &world.health(now), state);
            let previous = state.map_or(Previous::Live, Previous::undelayed);
            let decision = decide(&world.intent, &health, previous, now);
            let ready = |name: &String| {
                world.ready[NAMES.iter().position(|known| *known == name.as_str()).unwrap()]
            };
            let active = world.active();
            // Another replica than the leader makes rescues alone.
            let moves = decision.rescue && decision.names(&world.intent) != active;
            prop_assert!(!moves || !active.iter().any(ready), "{decision:?}");
            // Of a backend that the leader has left or stayed on, no clock tells it anything.
            let recorded = |name: &str| state.and_then(|s| s.down.get(name)).is_some_and(|d| d.returned.is_none());
            for (i, name) in NAMES.iter().enumerate() {
                let is_down = matches!(health[i], Health::DeclaredDown(_));
                if recorded(name) || active.iter().any(|a| a == name) {
                    prop_assert_eq!(is_down, recorded(name), "{} at {:?}", name, now);
                }
            }
        }
    }
}
