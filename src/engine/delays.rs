//! Delays: since when a loss or a recovery lasts, and when to decide again.

use crate::engine::decision::contains;
use crate::engine::evaluation::Evaluation;
use crate::engine::{
    Backend, BackendIndex, Decision, Health, PendingDelays, SteadyTime, Threshold, Unknown,
};
use jiff::{SignedDuration, Timestamp};
use std::collections::HashMap;

/// A percentage is evaluated again even if nothing changes: the past that it is measured by fades.
const FADING: SignedDuration = SignedDuration::from_mins(1);

impl Evaluation<'_> {
    /// Since when the loss or the recovery of a backend lasts, by the delays that run; from now on
    /// where none does.
    fn lasts_since(&self, i: BackendIndex) -> SteadyTime {
        let name = &self.intent.backends[i].name;
        let noted = self.delays.and_then(|delays| delays.get(name)).copied();
        // A start in the future comes from a clock that has jumped since: begin again.
        let since = noted.filter(|since| *since <= self.now.steady);
        since.unwrap_or_else(|| self.now.steady.to_the_millisecond())
    }

    /// Whether it has lasted for `delay`.
    pub(super) fn lasts(&self, i: BackendIndex, delay: SignedDuration) -> bool {
        delay.is_zero() || self.lasts_since(i).duration_until(self.now.steady) >= delay
    }

    /// The same, and its delay is pending from now on.
    pub(super) fn has_lasted(
        &self,
        i: BackendIndex,
        delay: SignedDuration,
        pending: &mut PendingDelays,
    ) -> bool {
        if !delay.is_zero() {
            pending.insert(self.intent.backends[i].name.clone(), self.lasts_since(i));
        }
        self.lasts(i, delay)
    }

    /// In how long to decide again even if no fact changes.
    pub(super) fn next(&self, decision: &Decision) -> Option<SignedDuration> {
        let policy = &self.intent.policy;
        let on_the_wall = |at: &Timestamp| self.now.wall.duration_until(*at);
        let pin_ends = policy.pin_at(self.now.wall).and_then(|pin| pin.until.as_ref());
        let pause_ends = policy.paused_until.as_ref().filter(|_| policy.paused);
        let requested = policy.failback_requested.as_ref().filter(|_| decision.left.is_some());
        let percentage = |b: &Backend| matches!(b.min_ready, Threshold::Percent(_));
        let fades = self.intent.backends.iter().any(percentage).then_some(FADING);
        self.ends_of_delays(decision)
            .into_iter()
            .chain([pin_ends, pause_ends, requested].into_iter().flatten().map(on_the_wall))
            .chain(fades)
            .chain(self.known.iter().filter_map(|health| self.until_changed(health)))
            .filter(SignedDuration::is_positive)
            .min()
    }

    /// In how long each pending delay ends.
    fn ends_of_delays(&self, decision: &Decision) -> Vec<SignedDuration> {
        let policy = &self.intent.policy;
        let ends = |since: &SteadyTime, is_active: bool| {
            let delay = if is_active { policy.failover_delay } else { policy.failback_delay };
            delay - since.duration_until(self.now.steady)
        };
        let places = if decision.pending.is_empty() { HashMap::new() } else { self.places() };
        let is_active =
            |name: &str| places.get(name).is_some_and(|i| contains(&decision.active, *i));
        decision.pending.iter().map(|(name, since)| ends(since, is_active(name))).collect()
    }

    /// In how long a health changes by itself: it is about to be known, or a declaration ends.
    fn until_changed(&self, health: &Health) -> Option<SignedDuration> {
        match health {
            Health::Unknown(Unknown::Changed { until }) => {
                Some(self.now.steady.duration_until(*until))
            }
            Health::DeclaredDown(down) => Some(self.now.wall.duration_until(down.until)),
            _ => None,
        }
    }
}
