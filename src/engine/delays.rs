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

#[cfg(test)]
mod tests {
    use crate::engine::decision::tests::{DOWN, Life, READY, at};
    use crate::engine::{Health, Previous, SteadyTime, Unknown, decide};
    use jiff::SignedDuration;

    /// In how many seconds to decide again, by what is known at that second.
    fn next(life: &Life, second: i64, health: [Health; 3]) -> Option<i64> {
        let previous = Previous::Decided(&life.state, &life.pending);
        let decision = decide(&life.intent, &health, previous, at(second));
        decision.next.map(|next: SignedDuration| next.as_secs())
    }

    #[test]
    fn it_is_decided_again_when_a_delay_ends() {
        let mut life = Life::of(&[("failover-delay", "10s"), ("failback-delay", "60s")]);
        assert_eq!(life.step(2, [DOWN, READY, DOWN]), "a");
        assert_eq!(next(&life, 5, [DOWN, READY, DOWN]), Some(7));
        assert_eq!(next(&life, 5, [READY, READY, DOWN]), None);
        assert_eq!(life.step(12, [DOWN, READY, DOWN]), "b");
        assert_eq!(life.step(20, [READY, READY, DOWN]), "b");
        assert_eq!(next(&life, 25, [READY, READY, DOWN]), Some(55));
    }

    #[test]
    fn it_is_decided_again_when_the_slices_of_a_changed_service_have_to_have_followed() {
        let life = Life::of(&[]);
        let changed = Health::Unknown(Unknown::Changed { until: SteadyTime::at(30) });
        assert_eq!(next(&life, 10, [changed, READY, DOWN]), Some(20));
        let unknown = Health::Unknown(Unknown::NotYet);
        assert_eq!(next(&life, 10, [unknown, READY, DOWN]), None);
    }

    #[test]
    fn a_delay_is_no_longer_pending_once_traffic_has_moved_or_the_recovery_has_not_lasted() {
        let mut life = Life::of(&[("failback-delay", "10s")]);
        assert_eq!(life.step(1, [DOWN, READY, DOWN]), "b");
        assert_eq!(life.step(2, [READY, READY, DOWN]), "b");
        assert_eq!(life.pending.keys().collect::<Vec<_>>(), ["a"]);
        assert_eq!(life.step(3, [DOWN, READY, DOWN]), "b");
        assert!(life.pending.is_empty());
        assert_eq!(life.step(4, [READY, READY, DOWN]), "b");
        assert_eq!(life.step(13, [READY, READY, DOWN]), "b");
        assert_eq!(life.step(14, [READY, READY, DOWN]), "a");
        assert!(life.pending.is_empty());
    }
}
