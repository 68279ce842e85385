//! What the traffic of an object is on, in one word: for metrics, and for people.

use crate::engine::{DecisionReason, Intent, Readiness};
use crate::index::managed_object::ManagedSet;
use crate::reconciler::set_decision::SetDecision;
use jiff::Timestamp;
use std::fmt;

pub(crate) use crate::telemetry::TrafficOn;

/// What keeps moves that are due from being made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Stopped {
    /// The cluster is frozen.
    pub frozen: bool,
    /// The brake holds.
    pub braked: bool,
}

impl Stopped {
    /// Whether this keeps a set's traffic where it is.
    pub(crate) fn stops(self, decided: &SetDecision<'_>) -> bool {
        let is_loss = || decided.leaves_primary() && !decided.is_by_person();
        decided.moves && (self.frozen || self.braked && is_loss())
    }
}

impl TrafficOn {
    /// Of an object by its sets as they are decided; none where it cannot be read.
    pub(crate) fn of_object(decided: Option<&[SetDecision<'_>]>, stopped: Stopped) -> Self {
        let sets = decided.unwrap_or_default().iter();
        sets.map(|set| Self::of_set(set, stopped)).max().unwrap_or(Self::Unreadable)
    }

    /// Of one set.
    pub(crate) fn of_set(decided: &SetDecision<'_>, stopped: Stopped) -> Self {
        let intent = &decided.set.intent;
        if decided.paused {
            Self::Paused
        } else if decided.decision.reason == DecisionReason::Pinned {
            Self::Pinned
        } else if Readiness::of(&decided.health) == Readiness::Nothing || stopped.stops(decided) {
            Self::Held
        } else {
            Self::of_tiers(intent, &decided.carrying())
        }
    }

    /// Of one set whose health is not known: as it is recorded, while that still holds.
    pub(crate) fn recorded(set: &ManagedSet, carrying: &[String], now: Timestamp) -> Self {
        let policy = &set.intent.policy;
        let was_pinned = set.state.as_ref().is_some_and(|state| state.pinned);
        if policy.paused_at(now) {
            Self::Paused
        } else if was_pinned && policy.pin_at(now).is_some() {
            Self::Pinned
        } else {
            Self::of_tiers(&set.intent, carrying)
        }
    }

    /// Where all weights are 0 no fallback has the traffic.
    fn of_tiers(intent: &Intent, carrying: &[String]) -> Self {
        let is_primary = |backend: &String| intent.primaries().any(|primary| primary == backend);
        match carrying.is_empty() || carrying.iter().any(is_primary) {
            true => Self::Primary,
            false => Self::Fallback,
        }
    }
}

impl fmt::Display for TrafficOn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}
