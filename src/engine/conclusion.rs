//! From the backends that get the traffic to the decision: weights, and what has to be recorded.

use crate::engine::choice::Choice;
use crate::engine::decision::contains;
use crate::engine::evaluation::Evaluation;
use crate::engine::reason::DecisionReason;
use crate::engine::shares::weights_for;
use crate::engine::time::to_the_second;
use crate::engine::{
    Backend, BackendIndex, Decision, Health, Intent, Now, Peaks, Previous, ShortPorts, Threshold,
};
use jiff::Timestamp;

/// Decides by what is seen, whatever is announced.
pub(super) fn decide_by_health(
    intent: &Intent,
    health: &[Health],
    previous: Previous<'_>,
    now: Now,
) -> Decision {
    let evaluation = Evaluation::new(intent, health, previous, now);
    evaluation.conclude(evaluation.choose())
}

impl Evaluation<'_> {
    fn conclude(&self, choice: Choice) -> Decision {
        let wall = to_the_second(self.now.wall);
        let awaits_primary = self.set.map_or(self.birth, |set| set.awaiting_primary);
        let primary_serves =
            self.intent.tiers.first().into_iter().flatten().any(|i| self.serves(*i));
        let mut decision = Decision {
            weights: self.weights(&choice),
            since: self.set.filter(|_| choice.active == self.before).map_or(wall, |set| set.since),
            left: self.off_primary_since(&choice, awaits_primary),
            awaiting_primary: awaits_primary && !primary_serves,
            rescue: self.is_rescue(&choice),
            left_early: vec![],
            next: None,
            peaks: self.peaks(),
            short: self.short(),
            down: self.down_records(&choice),
            before: self.before.clone(),
            active: choice.active,
            reason: choice.reason,
            pending: choice.pending,
        };
        decision.next = self.next(&decision);
        decision
    }

    fn weights(&self, choice: &Choice) -> Vec<u32> {
        let is_warm = self.intent.policy.warm_standby().unwrap_or_else(|| self.has_share());
        let gets_share = is_warm && choice.reason != DecisionReason::Pinned;
        let is_warm = |i: &BackendIndex| !self.intent.is_primary(*i) && self.health(*i).is_ready();
        let warm: Vec<BackendIndex> =
            self.intent.indices_of_all().filter(|i| gets_share && is_warm(i)).collect();
        weights_for(self.intent, &choice.active, &warm)
    }

    /// Whether a backend without the traffic has a share by the record: not known whether it should have one, it
    /// keeps it.
    fn has_share(&self) -> bool {
        self.set.is_some_and(|set| {
            set.weights.iter().any(|(name, weight)| *weight > 0 && !set.active.contains(name))
        })
    }

    /// Since when traffic has been off the primary because of a loss. A pin is no loss, nor is a primary
    /// that has never been ready.
    fn off_primary_since(&self, choice: &Choice, awaits_primary: bool) -> Option<Timestamp> {
        let on_primary = choice.active.iter().any(|i| self.intent.is_primary(*i));
        let is_loss = choice.reason != DecisionReason::Pinned && !awaits_primary;
        let since = self.left.or(is_loss.then(|| to_the_second(self.now.wall)));
        since.filter(|_| !on_primary)
    }

    fn is_rescue(&self, choice: &Choice) -> bool {
        let mut left_behind =
            self.before.iter().filter(|i| !contains(&choice.active, **i)).peekable();
        // A cluster may be out of reach for this replica alone.
        let dead = |i: &BackendIndex| match self.endpoints(*i) {
            Health::Unreachable { .. } | Health::Unknown(_) => false,
            health => !health.is_ready(),
        };
        choice.reason != DecisionReason::Pinned
            && self.intent.policy.failover_delay.is_zero()
            && left_behind.peek().is_some()
            && left_behind.all(dead)
    }

    /// For each backend that falls short of a percentage, the peak that it is measured by.
    fn peaks(&self) -> Peaks {
        let none = Peaks::new();
        let recorded = self.set.map_or(&none, |set| &set.peaks);
        let mut peaks = Peaks::new();
        let percentage =
            |(_, b): &(BackendIndex, &Backend)| matches!(b.min_ready, Threshold::Percent(_));
        for (i, backend) in self.intent.indexed().filter(percentage) {
            for count in self.endpoints(i).counts() {
                if !backend.is_met_on(&count, recorded) {
                    let key = count.key(&backend.name);
                    let before = recorded.get(&key).copied().unwrap_or_default();
                    peaks.insert(key, count.peak.max(before));
                }
            }
        }
        peaks
    }

    /// The ports that each backend has lost; for an unknown one, the record.
    fn short(&self) -> ShortPorts {
        let recorded = |name: &String| self.set.and_then(|set| set.short.get(name)).cloned();
        let short = |(i, backend): (BackendIndex, &Backend)| {
            let short = match self.endpoints(i) {
                Health::Seen { ports, .. } => ports.as_ref().map(|ports| ports.short()),
                Health::Unknown(_) | Health::Unreachable { .. } => recorded(&backend.name),
                Health::Missing
                | Health::Impossible { .. }
                | Health::ExternalName
                | Health::DeclaredDown(_) => None,
            };
            Some((backend.name.clone(), short.filter(|short| !short.is_empty())?))
        };
        self.intent.indexed().filter_map(short).collect()
    }
}
