//! The facts of one set of backends that a decision rests on.

use crate::engine::decision::contains;
use crate::engine::declared_down::effective;
use crate::engine::{BackendIndex, Health, Intent, Now, Peaks, PendingDelays, Previous, SetState};
use jiff::Timestamp;
use std::borrow::Cow;
use std::collections::HashMap;

/// One decision's facts.
pub(super) struct Evaluation<'a> {
    pub(super) intent: &'a Intent,
    /// What is known of each backend.
    pub(super) known: &'a [Health],
    /// The same as traffic follows it.
    health: Cow<'a, [Health]>,
    pub(super) birth: bool,
    pub(super) set: Option<&'a SetState>,
    /// The delays that run already.
    pub(super) delays: Option<&'a PendingDelays>,
    /// Backends that have the traffic.
    pub(super) before: Vec<BackendIndex>,
    /// Since when traffic has been off the primary because of a loss.
    pub(super) left: Option<Timestamp>,
    pub(super) now: Now,
}

impl<'a> Evaluation<'a> {
    pub(super) fn new(
        intent: &'a Intent,
        health: &'a [Health],
        previous: Previous<'a>,
        now: Now,
    ) -> Self {
        let mut before = match previous {
            Previous::Birth => vec![],
            Previous::Live => intent.carrying(),
            Previous::Decided(set, _) => intent.indices(&set.active),
        };
        // All zero (as the predecessor left them), or every active backend renamed away.
        if before.is_empty() {
            before = intent.tiers.first().cloned().unwrap_or_default();
            before.sort_unstable();
        }
        let birth = matches!(previous, Previous::Birth);
        // Taken over in the middle of a failover, of which nothing else is known.
        let taken_over =
            matches!(previous, Previous::Live) && !before.iter().any(|i| intent.is_primary(*i));
        let (set, delays) = previous.decided().unzip();
        let left = set.and_then(|set| set.left).or(taken_over.then_some(now.wall));
        let effective = effective(intent, health, set.map(|set| &set.peaks));
        Self { intent, known: health, health: effective, birth, set, delays, before, left, now }
    }

    pub(super) fn health(&self, i: BackendIndex) -> &Health {
        i.of(&self.health).unwrap_or(&Health::Missing)
    }

    /// What is known of its endpoints, whatever is declared.
    pub(super) fn endpoints(&self, i: BackendIndex) -> &Health {
        i.of(self.known).map_or(&Health::Missing, Health::undeclared)
    }

    /// It is declared down, and another backend meets its minimum.
    pub(super) fn is_declared_down(&self, i: BackendIndex) -> bool {
        self.health(i).declared().is_some()
    }

    /// Known to meet its minimum.
    pub(super) fn meets_minimum(&self, i: BackendIndex) -> bool {
        let backend = &self.intent.backends[i];
        match self.set {
            Some(set) => backend.is_met_by(self.health(i), &set.peaks),
            None => backend.is_met_by(self.health(i), &Peaks::new()),
        }
    }

    /// Not known is not down: what has the traffic and cannot be seen still serves.
    pub(super) fn serves(&self, i: BackendIndex) -> bool {
        self.meets_minimum(i) || self.health(i).is_unknown() && contains(&self.before, i)
    }

    /// It was left early and not lost: traffic returns as if it had never gone.
    pub(super) fn was_only_announced(&self, i: BackendIndex) -> bool {
        let name = &self.intent.backends[i].name;
        self.set.is_some_and(|set| set.left_early.contains(name))
    }

    /// The places of the backends, by name.
    pub(super) fn places(&self) -> HashMap<&str, BackendIndex> {
        self.intent.indexed().map(|(i, b)| (b.name.as_str(), i)).collect()
    }
}
