//! Time that counts: while a replica is answered by the API server, without a break, and as far as the processes
//! got the CPU that they asked for.

use crate::facts::At;
use crate::model::World;
use std::time::Duration;

/// What passes between two ticks counts up to this: a machine that does not get to the observer does not get to the
/// program either.
const TICK: Duration = Duration::from_millis(250);

/// Faults that keep a write from landing though the API server answers.
const REFUSING: &[&str] = &["refusing-webhook"];
/// Faults under which a process does nothing at all, and so is not waited for.
const STOPPED: &str = "sigstop";

/// Counts.
#[derive(Debug, Default)]
pub(super) struct Stopwatch {
    counted: Duration,
    last: Option<At>,
    /// Since when the replica that has been answered for longest has been.
    since: Option<At>,
    /// What was counted when the present stretch began.
    stretch: Duration,
}

impl Stopwatch {
    /// Time passes.
    pub(super) fn tick(&mut self, world: &World, at: At) {
        let passed = self.last.map_or(Duration::ZERO, |last| at.0.saturating_sub(last.0));
        self.last = Some(at);
        let is_refused = world.faults.values().any(|(family, _)| REFUSING.contains(family));
        let since = world.longest_answered().filter(|_| !is_refused);
        if since.is_some() && self.since.is_some() {
            self.counted += passed.min(TICK).mul_f64(world.pace.unwrap_or(1.0));
        }
        if since.is_none() || self.since.is_none() || since > self.since {
            self.stretch = self.counted;
        }
        self.since = since;
    }

    /// What has been counted.
    pub(super) fn now(&self) -> Duration {
        self.counted
    }

    /// What has been counted since then, in one stretch.
    pub(super) fn since(&self, then: Duration) -> Duration {
        self.counted.saturating_sub(then.max(self.stretch))
    }

    /// Whether the replica with the Lease may be at work though it is not answered.
    pub(super) fn leader_is_cut_off(world: &World) -> bool {
        let is_stopped = || {
            let mut faults = world.faults.values();
            faults.any(|(family, target)| {
                family.starts_with(STOPPED) && target.contains(&world.leader)
            })
        };
        let leader = world.replicas.get(&world.leader);
        leader.is_some_and(|leader| leader.runs && leader.answered_since.is_none()) && !is_stopped()
    }
}

/// Time as far as the processes got the CPU that they asked for, whoever is answered.
#[derive(Debug, Default)]
pub(super) struct PacedClock {
    passed: Duration,
    last: Option<At>,
}

impl PacedClock {
    /// Time passes.
    pub(super) fn tick(&mut self, world: &World, at: At) {
        let passed = self.last.map_or(Duration::ZERO, |last| at.0.saturating_sub(last.0));
        self.last = Some(at);
        self.passed += passed.min(TICK).mul_f64(world.pace.unwrap_or(1.0));
    }

    /// What has passed, to a tick.
    pub(super) fn now(&self) -> Duration {
        self.passed
    }
}
