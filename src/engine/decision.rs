//! The decision: which backends get traffic, and with what weights.

use crate::engine::reason::DecisionReason;
use crate::engine::{
    BackendIndex, Health, Intent, Now, Peaks, PendingDelays, RecordedDowns, SetState, ShortPorts,
    work,
};
use jiff::{SignedDuration, Timestamp};

/// The state before this decision.
#[derive(Clone, Copy, Debug)]
pub enum Previous<'a> {
    /// The object is being created: its weights are a wish, no traffic follows them yet.
    Birth,
    /// Nothing was recorded: the backends that carry traffic are the active ones.
    Live,
    /// The last decision, with the delays that run.
    Decided(&'a SetState, &'a PendingDelays),
}

impl<'a> Previous<'a> {
    /// The last decision and the delays; none where nothing is recorded.
    pub(crate) fn decided(self) -> Option<(&'a SetState, &'a PendingDelays)> {
        match self {
            Self::Decided(set, delays) => Some((set, delays)),
            Self::Birth | Self::Live => None,
        }
    }
}

#[cfg(test)]
impl<'a> Previous<'a> {
    /// The last decision, with no delay that runs.
    pub(crate) fn undelayed(state: &'a SetState) -> Self {
        static NONE: PendingDelays = PendingDelays::new();
        Self::Decided(state, &NONE)
    }
}

impl SetState {
    /// Records the default primary, where the author named none.
    pub fn remembering(mut self, intent: &Intent) -> Self {
        self.primary = intent.default_primary().map(str::to_owned);
        let first = intent.backends.first().map(|b| b.name.clone());
        self.first = first.filter(|first| self.primary.as_ref().is_some_and(|p| p != first));
        self
    }
}

/// The backends that get traffic, the reason, and their weights.
#[derive(Clone, Debug, PartialEq)]
pub struct Decision {
    /// Indices into [`Intent::backends`], ascending, never empty.
    pub active: Vec<BackendIndex>,
    /// The backends that had the traffic before this decision.
    pub before: Vec<BackendIndex>,
    /// Why these are the active backends.
    pub reason: DecisionReason,
    /// A weight for each backend, in the author's order; never all zero.
    pub weights: Vec<u32>,
    /// Since when these are the active backends.
    pub since: Timestamp,
    /// Since when traffic has been off the primary because of a loss.
    pub left: Option<Timestamp>,
    /// No primary has been ready since birth: `failback` and its delay do not apply.
    pub awaiting_primary: bool,
    /// Since when an active backend has been lost, or a better one back.
    pub pending: PendingDelays,
    /// The most endpoints of each backend that were ready lately, for thresholds in percent.
    pub peaks: Peaks,
    /// The ports that each backend is short of, to be recorded.
    pub short: ShortPorts,
    /// What is to be recorded of backends that are declared down.
    pub down: RecordedDowns,
    /// The backends that are left early: they would have the traffic, were their pods not announced.
    pub left_early: Vec<BackendIndex>,
    /// Any replica may make it: it only leaves backends that are known to have nothing ready, and the
    /// author wants no delay.
    pub rescue: bool,
    /// In how long to decide again even if no fact changes.
    pub next: Option<SignedDuration>,
}

/// Whether a backend is among these, which are in ascending order.
pub(crate) fn contains(ascending: &[BackendIndex], backend: BackendIndex) -> bool {
    ascending.binary_search(&work::counted(backend)).is_ok()
}

/// Whether a primary is recorded to be left because a person has declared it down.
pub(crate) fn left_for_person(recorded: &RecordedDowns, intent: &Intent) -> bool {
    let mut primaries = intent.primaries().filter_map(|primary| recorded.get(primary));
    primaries.any(|down| down.person && down.is_away())
}

pub(super) fn named(intent: &Intent, backends: &[BackendIndex]) -> Vec<String> {
    backends.iter().map(|i| intent.backends[*i].name.clone()).collect()
}

impl Decision {
    /// The state to record of this set with these weights.
    pub fn state(&self, intent: &Intent, health: &[Health], now: Now) -> SetState {
        let weights = intent.backends.iter().zip(&self.weights);
        SetState {
            active: self.names(intent),
            since: self.since,
            why: self.explain(intent, health),
            weights: weights.map(|(b, weight)| (b.name.clone(), *weight)).collect(),
            left: self.left,
            pending: now.to_wall(&self.pending),
            pinned: self.reason == DecisionReason::Pinned,
            awaiting_primary: self.awaiting_primary,
            peaks: self.peaks.clone(),
            short: self.short.clone(),
            down: self.down_at(now),
            left_early: self.names_left_early(intent),
            ..SetState::default()
        }
        .remembering(intent)
    }

    /// The records of backends that are declared down, without those that are past.
    fn down_at(&self, now: Now) -> RecordedDowns {
        let down = self.down.iter().filter(|(_, recorded)| !recorded.is_past(now.wall));
        down.map(|(backend, recorded)| (backend.clone(), recorded.clone())).collect()
    }

    /// Whether traffic is off primaries because a person has declared them down.
    pub(crate) fn is_by_person(&self, intent: &Intent) -> bool {
        !self.on_primary(intent) && left_for_person(&self.down, intent)
    }

    /// The names of the active backends.
    pub fn names(&self, intent: &Intent) -> Vec<String> {
        named(intent, &self.active)
    }

    /// The names of the backends that are left early.
    pub fn names_left_early(&self, intent: &Intent) -> Vec<String> {
        named(intent, &self.left_early)
    }

    /// Whether a backend that has the traffic, or would be preferred, has lost a port.
    pub fn is_short(&self, intent: &Intent) -> bool {
        let concerned = |i: &BackendIndex| contains(&self.active, *i) || intent.is_primary(*i);
        let short = intent.indices(self.short.keys());
        short.iter().any(concerned)
    }

    /// Whether any preferred backend gets traffic.
    pub fn on_primary(&self, intent: &Intent) -> bool {
        self.active.iter().any(|i| intent.is_primary(*i))
    }
}

#[cfg(test)]
#[path = "decision_tests.rs"]
pub(crate) mod tests;
