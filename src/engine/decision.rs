//! The decision: which backends get traffic, and with what weights.

use crate::engine::reason::DecisionReason;
use crate::engine::state::to_the_second;
use crate::engine::weighting::weights_for;
use crate::engine::{
    Health, Intent, Now, Peaks, PendingDelays, SetState, ShortPorts, Threshold, Unknown, work,
};
use jiff::{SignedDuration, Timestamp};
use std::collections::{HashMap, HashSet};

/// What was so before this decision.
#[derive(Clone, Copy, Debug)]
pub enum Previous<'a> {
    /// The object is being created: its weights are a wish, no traffic follows them yet.
    Birth,
    /// Nothing was recorded: the backends that carry traffic are the active ones.
    Live,
    /// What was decided last.
    /// With the delays that have begun since, or before.
    Decided(&'a SetState, &'a PendingDelays),
}

#[cfg(test)]
impl<'a> Previous<'a> {
    /// What was decided last, with no delay that has begun.
    pub(crate) fn undelayed(state: &'a SetState) -> Self {
        static NONE: PendingDelays = PendingDelays::new();
        Self::Decided(state, &NONE)
    }
}

/// Which backends get traffic, why, and the weights that say so.
#[derive(Clone, Debug, PartialEq)]
pub struct Decision {
    /// Indices into [`Intent::backends`], ascending; empty never.
    pub active: Vec<usize>,
    /// The backends that had the traffic before this decision.
    pub before: Vec<usize>,
    pub because: DecisionReason,
    /// A weight for each backend, in the author's order; never all zero.
    pub weights: Vec<u32>,
    /// Since when these are the active backends.
    pub since: Timestamp,
    /// Since when traffic has been off the primary because of a loss.
    pub left: Option<Timestamp>,
    pub awaiting_primary: bool,
    /// Since when an active backend has been lost, or a better one back.
    pub pending: PendingDelays,
    pub peaks: Peaks,
    /// What each backend is short of, where it would be forgotten otherwise.
    pub short: ShortPorts,
    /// The backends that would have the traffic, were their pods not about to be deleted.
    pub ahead: Vec<usize>,
    /// It only leaves backends that are known to have nothing ready, and the author wants no delay:
    /// any replica may make it.
    pub rescue: bool,
    /// In how long to decide again even if no fact changes.
    pub next: Option<SignedDuration>,
}

/// A percentage is looked at again even if nothing changes: the past it is measured by fades.
const FADING: SignedDuration = SignedDuration::from_mins(1);

/// Decides by what is seen, whatever is announced.
pub(crate) fn decide_by(
    intent: &Intent,
    health: &[Health],
    previous: Previous<'_>,
    now: Now,
) -> Decision {
    let scene = DecisionInput::new(intent, health, previous, now);
    let chosen = match intent.policy.pin_at(now.wall) {
        Some(pin) => Chosen {
            active: pin.backends.clone(),
            because: DecisionReason::Pinned,
            pending: PendingDelays::new(),
        },
        None => scene.choose(),
    };
    scene.conclude(chosen)
}

/// The facts of one decision, put in order.
pub(crate) struct DecisionInput<'a> {
    pub(crate) intent: &'a Intent,
    health: &'a [Health],
    birth: bool,
    set: Option<&'a SetState>,
    delays: Option<&'a PendingDelays>,
    /// Backends that have the traffic.
    pub(crate) before: Vec<usize>,
    /// Since when traffic has been off the primary because of a loss.
    left: Option<Timestamp>,
    now: Now,
}

pub(crate) struct Chosen {
    pub(crate) active: Vec<usize>,
    because: DecisionReason,
    pending: PendingDelays,
}

impl<'a> DecisionInput<'a> {
    fn new(intent: &'a Intent, health: &'a [Health], previous: Previous<'a>, now: Now) -> Self {
        let (set, delays) = match previous {
            Previous::Decided(set, delays) => (Some(set), Some(delays)),
            Previous::Birth | Previous::Live => (None, None),
        };
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
        // Taken over in the middle of a failover, of which nothing else is known.
        let taken_over =
            matches!(previous, Previous::Live) && !before.iter().any(|i| intent.is_primary(*i));
        let left = set.and_then(|set| set.left).or(taken_over.then_some(now.wall));
        let birth = matches!(previous, Previous::Birth);
        Self { intent, health, birth, set, delays, before, left, now }
    }

    pub(crate) fn health(&self, i: usize) -> &Health {
        self.health.get(i).unwrap_or(&Health::Missing)
    }

    /// Known to have what it needs.
    fn meets_minimum(&self, i: usize) -> bool {
        let backend = &self.intent.backends[i];
        match self.set {
            Some(set) => backend.is_met_by(self.health(i), &set.peaks),
            None => backend.is_met_by(self.health(i), &Peaks::new()),
        }
    }

    /// Not known is not down: what has the traffic and cannot be seen still serves.
    pub(crate) fn serves(&self, i: usize) -> bool {
        self.meets_minimum(i) || self.health(i).is_unknown() && has(&self.before, i)
    }

    /// Whether what is so of a backend has lasted for `delay`; notes since when it has.
    fn has_lasted(&self, i: usize, delay: SignedDuration, pending: &mut PendingDelays) -> bool {
        if delay.is_zero() {
            return true;
        }
        let name = &self.intent.backends[i].name;
        let noted = self.delays.and_then(|delays| delays.get(name)).copied();
        // One in the future was noted by a clock that has jumped since: begin anew.
        let since = noted.filter(|since| *since <= self.now.steady);
        let since = since.unwrap_or_else(|| self.now.steady.to_the_millisecond());
        pending.insert(name.clone(), since);
        since.duration_until(self.now.steady) >= delay
    }

    /// Traffic left it ahead of a loss that has not come: it returns as if it had never gone.
    fn was_only_announced(&self, i: usize) -> bool {
        let name = &self.intent.backends[i].name;
        self.set.is_some_and(|set| set.ahead.contains(name))
    }

    fn choose(&self) -> Chosen {
        let policy = &self.intent.policy;
        // At birth no traffic flows yet; and a pin that ends takes with it what it did.
        let after_pin = self.set.is_some_and(|set| set.pinned) && self.left.is_none();
        if self.birth || after_pin {
            return self.best();
        }

        let mut pending = PendingDelays::new();
        let mut kept = vec![];
        let mut held = vec![];
        // No weight is given to what can have no traffic, whatever the delay.
        for i in self.before.iter().filter(|i| self.intent.backends[**i].can_serve()) {
            if self.serves(*i) || !self.has_lasted(*i, policy.failover_delay, &mut pending) {
                kept.push(*i);
            } else if self.has_no_refuge(*i) {
                kept.push(*i);
                held.push(*i);
            }
        }
        let serving: Vec<usize> = kept.iter().copied().filter(|i| self.serves(*i)).collect();
        let stand = if serving.is_empty() { &kept } else { &serving };
        let Some(tier) = stand.iter().map(|i| self.intent.tier_of(*i)).min() else {
            let chosen = self.best();
            // Where it holds what is lost, the loss goes on.
            let held: HashSet<String> = self.names(&chosen.active).into_iter().collect();
            pending.retain(|name, _| held.contains(name));
            return Chosen { pending, ..chosen };
        };

        let told = policy.failback_requested.is_some_and(|requested| {
            let left = self.left.map_or(i64::MIN, Timestamp::as_second);
            requested <= self.now.wall && requested.as_second() >= left
        });
        let mut climbs = None;
        for (better, members) in self.intent.tiers.iter().enumerate().take(tier) {
            let mut back = vec![];
            let may_serve = |i: &usize| self.meets_minimum(*i) && self.may_be_preferred(*i);
            for i in members.iter().copied().filter(may_serve) {
                let at_once = self.left.is_none() || self.was_only_announced(i);
                let lasted = at_once || self.has_lasted(i, policy.failback_delay, &mut pending);
                if lasted && (at_once || !policy.manual_failback || told) {
                    back.push(i);
                }
            }
            if climbs.is_none() && !back.is_empty() {
                climbs = Some((better, back));
            }
        }
        let (tier, mut active) = climbs.unwrap_or_else(|| {
            kept.retain(|i| self.intent.tier_of(*i) == tier);
            for i in self.intent.tiers[tier].iter().copied() {
                let new =
                    !has(&self.before, i) && self.meets_minimum(i) && self.may_be_preferred(i);
                let at_once = new && self.was_only_announced(i);
                if at_once || new && self.has_lasted(i, policy.failback_delay, &mut pending) {
                    kept.push(i);
                }
            }
            (tier, kept)
        });
        let because = if active.iter().any(|i| self.serves(*i)) {
            self.tier_serves(tier)
        } else if active.iter().any(|i| has(&held, *i)) {
            self.for_want_of_better(&active)
        } else {
            DecisionReason::WaitsForLoss
        };
        // What has joined or been left behind waits for nothing any more.
        active.sort_unstable();
        let waits = |i: usize| has(&active, i) != self.meets_minimum(i);
        if !pending.is_empty() {
            let places = self.places();
            pending.retain(|name, _| places.get(name.as_str()).copied().is_some_and(waits));
        }
        Chosen { active, because, pending }
    }

    /// The best backends by health alone.
    pub(crate) fn best(&self) -> Chosen {
        let (active, because) = if let Some((tier, active)) = self.best_ready() {
            match active.iter().any(|i| self.serves(*i)) {
                true => (active, self.tier_serves(tier)),
                false => {
                    let because = self.for_want_of_better(&active);
                    (active, because)
                }
            }
        } else if let Some((_, active)) = self.tier_with(|i| self.health(*i).is_unknown()) {
            (active, DecisionReason::OnlyUnknownLeft)
        } else {
            (self.held(), DecisionReason::NothingReady)
        };
        Chosen { active, because, pending: PendingDelays::new() }
    }

    fn tier_serves(&self, tier: usize) -> DecisionReason {
        if tier == 0 { DecisionReason::PrimaryServes } else { DecisionReason::FallbackServes }
    }

    /// The first tier that has a backend of this kind, with all of that kind in it.
    fn tier_with(&self, of_kind: impl Fn(&usize) -> bool) -> Option<(usize, Vec<usize>)> {
        let members = |tier: &Vec<usize>| -> Vec<usize> {
            tier.iter().copied().filter(|i| of_kind(i)).collect()
        };
        self.intent.tiers.iter().map(members).enumerate().find(|(_, members)| !members.is_empty())
    }

    /// What stays active when nothing is ready: what was, unless its Service is gone.
    fn held(&self) -> Vec<usize> {
        let exists = |i: &usize| self.health(*i).exists();
        let there: Vec<usize> = self.before.iter().copied().filter(exists).collect();
        if !there.is_empty() {
            return there;
        }
        let in_order = || self.intent.tiers.iter().flatten().copied();
        if let Some(first) = in_order().find(exists) {
            return vec![first];
        }
        let can_serve = |i: &usize| self.intent.backends[*i].can_serve();
        let there: Vec<usize> = self.before.iter().copied().filter(can_serve).collect();
        if there.is_empty() { in_order().find(can_serve).into_iter().collect() } else { there }
    }

    fn conclude(&self, chosen: Chosen) -> Decision {
        let Chosen { mut active, because, pending } = chosen;
        active.sort_unstable();
        let pinned = because == DecisionReason::Pinned;
        let primaries = || self.intent.tiers.first().into_iter().flatten();
        let on_primary = active.iter().any(|i| self.intent.is_primary(*i));
        let awaited = self.set.map_or(self.birth, |set| set.awaiting_primary);
        let left = if on_primary {
            None
        } else if pinned || awaited {
            self.left
        } else {
            self.left.or(Some(to_the_second(self.now.wall)))
        };
        let warm: Vec<usize> = (0..self.intent.backends.len())
            .filter(|i| self.intent.policy.warm_standby && !pinned && !self.intent.is_primary(*i))
            .filter(|i| self.health(*i).is_ready())
            .collect();
        let weights = weights_for(self.intent, &active, &warm);
        let since = match self.set {
            Some(set) if active == self.before => set.since,
            _ => to_the_second(self.now.wall),
        };
        let mut decision = Decision {
            awaiting_primary: awaited && !primaries().any(|i| self.serves(*i)),
            rescue: self.is_rescue(&active, because),
            ahead: vec![],
            next: None,
            peaks: self.peaks(),
            short: self.short(),
            before: self.before.clone(),
            active,
            because,
            weights,
            since,
            left,
            pending,
        };
        decision.next = self.next(&decision);
        decision
    }

    fn is_rescue(&self, active: &[usize], because: DecisionReason) -> bool {
        let mut left_behind = self.before.iter().filter(|i| !has(active, **i)).peekable();
        // That a cluster is out of reach, from here, may be so for this replica alone.
        let dead = |i: &usize| match self.health(*i) {
            Health::Unreachable { .. } | Health::Unknown(_) => false,
            health => !health.is_ready(),
        };
        because != DecisionReason::Pinned
            && self.intent.policy.failover_delay.is_zero()
            && left_behind.peek().is_some()
            && left_behind.all(dead)
    }

    /// Of each backend that falls short of a percentage, what it is measured by.
    fn peaks(&self) -> Peaks {
        let none = Peaks::new();
        let recorded = self.set.map_or(&none, |set| &set.peaks);
        let mut peaks = Peaks::new();
        for (i, backend) in self.intent.backends.iter().enumerate() {
            if !matches!(backend.min_ready, Threshold::Percent(_)) {
                continue;
            }
            for count in self.health(i).counts() {
                if !backend.is_met_on(&count, recorded) {
                    let key = count.key(&backend.name);
                    let before = recorded.get(&key).copied().unwrap_or_default();
                    peaks.insert(key, count.peak.max(before));
                }
            }
        }
        peaks
    }

    /// Of each backend that has lost a port, which; of one that cannot be seen, what is recorded.
    fn short(&self) -> ShortPorts {
        let recorded = |name: &String| self.set.and_then(|set| set.short.get(name)).cloned();
        let short = |(i, backend): (usize, &crate::engine::Backend)| {
            let short = match self.health(i) {
                Health::Seen { ports, .. } => ports.as_ref().map(|ports| ports.short()),
                Health::Unknown(_) | Health::Unreachable { .. } => recorded(&backend.name),
                Health::Missing | Health::Impossible { .. } | Health::ExternalName => None,
            };
            Some((backend.name.clone(), short.filter(|short| !short.is_empty())?))
        };
        self.intent.backends.iter().enumerate().filter_map(short).collect()
    }

    fn next(&self, decision: &Decision) -> Option<SignedDuration> {
        let policy = &self.intent.policy;
        let places = if decision.pending.is_empty() { HashMap::new() } else { self.places() };
        let by_delay = decision.pending.iter().map(|(name, since)| {
            let active = places.get(name.as_str()).is_some_and(|i| has(&decision.active, *i));
            let delay = if active { policy.failover_delay } else { policy.failback_delay };
            delay - since.duration_until(self.now.steady)
        });
        let on_the_wall = |at: &Timestamp| self.now.wall.duration_until(*at);
        let pin_ends = policy.pin_at(self.now.wall).and_then(|pin| pin.until.as_ref());
        let told = policy.failback_requested.as_ref().filter(|_| decision.left.is_some());
        let percentage = |b: &crate::engine::Backend| matches!(b.min_ready, Threshold::Percent(_));
        let fades = self.intent.backends.iter().any(percentage).then_some(FADING);
        let follows = self.health.iter().filter_map(|health| match health {
            Health::Unknown(Unknown::Changed { until }) => {
                Some(self.now.steady.duration_until(*until))
            }
            _ => None,
        });
        by_delay
            .chain(pin_ends.into_iter().chain(told).map(on_the_wall))
            .chain(fades)
            .chain(follows)
            .filter(SignedDuration::is_positive)
            .min()
    }

    /// The places of the backends, by name.
    fn places(&self) -> HashMap<&str, usize> {
        self.intent.backends.iter().enumerate().map(|(i, b)| (b.name.as_str(), i)).collect()
    }

    fn names(&self, backends: &[usize]) -> Vec<String> {
        named(self.intent, backends)
    }
}

/// Whether a backend is among these, which are in ascending order.
pub(crate) fn has(ascending: &[usize], backend: usize) -> bool {
    ascending.binary_search(&work::counted(backend)).is_ok()
}

fn named(intent: &Intent, backends: &[usize]) -> Vec<String> {
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
            pinned: self.because == DecisionReason::Pinned,
            awaiting_primary: self.awaiting_primary,
            peaks: self.peaks.clone(),
            short: self.short.clone(),
            nothing_ready: None,
            ahead: self.names_ahead(intent),
            ..SetState::default()
        }
        .remembering(intent)
    }

    /// The names of the active backends.
    pub fn names(&self, intent: &Intent) -> Vec<String> {
        named(intent, &self.active)
    }

    /// The names of the backends that it leaves ahead of a loss.
    pub fn names_ahead(&self, intent: &Intent) -> Vec<String> {
        named(intent, &self.ahead)
    }

    /// Whether a backend that has the traffic, or would be preferred, has lost a port.
    pub fn is_short(&self, intent: &Intent) -> bool {
        let concerned = |i: &usize| has(&self.active, *i) || intent.is_primary(*i);
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
