//! How a decision is made: from the facts of one set of backends to those that get the traffic.

use crate::engine::decision::{contains, named};
use crate::engine::reason::DecisionReason;
use crate::engine::shares::weights_for;
use crate::engine::time::to_the_second;
use crate::engine::{
    BackendIndex, Decision, Health, Intent, Now, Peaks, PendingDelays, Previous, SetState,
    ShortPorts, Threshold, Unknown,
};
use jiff::{SignedDuration, Timestamp};
use std::collections::{HashMap, HashSet};

/// A percentage is looked at again even if nothing changes: the past it is measured by fades.
const FADING: SignedDuration = SignedDuration::from_mins(1);

/// Decides by what is seen, whatever is announced.
pub(crate) fn decide_by(
    intent: &Intent,
    health: &[Health],
    previous: Previous<'_>,
    now: Now,
) -> Decision {
    let evaluation = Evaluation::new(intent, health, previous, now);
    let chosen = match intent.policy.pin_at(now.wall) {
        Some(pin) => Chosen {
            active: pin.backends.clone(),
            reason: DecisionReason::Pinned,
            pending: PendingDelays::new(),
        },
        None => evaluation.choose(),
    };
    evaluation.conclude(chosen)
}

/// One decision, from the facts to the weights.
pub(crate) struct Evaluation<'a> {
    pub(crate) intent: &'a Intent,
    health: &'a [Health],
    birth: bool,
    set: Option<&'a SetState>,
    delays: Option<&'a PendingDelays>,
    /// Backends that have the traffic.
    pub(crate) before: Vec<BackendIndex>,
    /// Since when traffic has been off the primary because of a loss.
    left: Option<Timestamp>,
    now: Now,
}

pub(crate) struct Chosen {
    pub(crate) active: Vec<BackendIndex>,
    reason: DecisionReason,
    pending: PendingDelays,
}

/// The backends that traffic does not leave now.
struct Kept {
    backends: Vec<BackendIndex>,
    /// Those of them that are lost, and that nothing else replaces.
    without_refuge: Vec<BackendIndex>,
}

impl<'a> Evaluation<'a> {
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

    pub(crate) fn health(&self, i: BackendIndex) -> &Health {
        i.of(self.health).unwrap_or(&Health::Missing)
    }

    /// Known to have what it needs.
    fn meets_minimum(&self, i: BackendIndex) -> bool {
        let backend = &self.intent.backends[i];
        match self.set {
            Some(set) => backend.is_met_by(self.health(i), &set.peaks),
            None => backend.is_met_by(self.health(i), &Peaks::new()),
        }
    }

    /// Not known is not down: what has the traffic and cannot be seen still serves.
    pub(crate) fn serves(&self, i: BackendIndex) -> bool {
        self.meets_minimum(i) || self.health(i).is_unknown() && contains(&self.before, i)
    }

    /// Whether what is so of a backend has lasted for `delay`; notes since when it has.
    fn has_lasted(
        &self,
        i: BackendIndex,
        delay: SignedDuration,
        pending: &mut PendingDelays,
    ) -> bool {
        if delay.is_zero() {
            return true;
        }
        let name = &self.intent.backends[i].name;
        let noted = self.delays.and_then(|delays| delays.get(name)).copied();
        // A start in the future comes from a clock that has jumped since: begin again.
        let since = noted.filter(|since| *since <= self.now.steady);
        let since = since.unwrap_or_else(|| self.now.steady.to_the_millisecond());
        pending.insert(name.clone(), since);
        since.duration_until(self.now.steady) >= delay
    }

    /// An early flip left it and its loss has not come: traffic returns as if it had never gone.
    fn was_only_announced(&self, i: BackendIndex) -> bool {
        let name = &self.intent.backends[i].name;
        self.set.is_some_and(|set| set.left_early.contains(name))
    }

    fn choose(&self) -> Chosen {
        // At birth no traffic flows yet; and a pin that ends takes with it what it did.
        let after_pin = self.set.is_some_and(|set| set.pinned) && self.left.is_none();
        if self.birth || after_pin {
            return self.best();
        }
        let mut pending = PendingDelays::new();
        let Kept { backends: kept, without_refuge } = self.kept(&mut pending);
        let Some(tier) = self.tier_to_stay_on(&kept) else {
            let chosen = self.best();
            // Where it holds what is lost, the loss goes on.
            let stays: HashSet<String> = self.names(&chosen.active).into_iter().collect();
            pending.retain(|name, _| stays.contains(name));
            return Chosen { pending, ..chosen };
        };
        let recovered = self.recovered(tier, &mut pending);
        let (tier, mut active) =
            recovered.unwrap_or_else(|| (tier, self.joined(tier, kept, &mut pending)));
        let reason = if active.iter().any(|i| self.serves(*i)) {
            self.tier_serves(tier)
        } else if active.iter().any(|i| contains(&without_refuge, *i)) {
            self.for_want_of_better(&active)
        } else {
            DecisionReason::WaitsForLoss
        };
        active.sort_unstable();
        self.drop_completed(&active, &mut pending);
        Chosen { active, reason, pending }
    }

    /// Of the backends that have the traffic, those that it does not leave now.
    fn kept(&self, pending: &mut PendingDelays) -> Kept {
        let delay = self.intent.policy.failover_delay;
        let (mut backends, mut without_refuge) = (vec![], vec![]);
        // No weight is given to what can have no traffic, whatever the delay.
        for i in self.before.iter().filter(|i| self.intent.backends[**i].can_serve()) {
            if self.serves(*i) || !self.has_lasted(*i, delay, pending) {
                backends.push(*i);
            } else if self.has_no_refuge(*i) {
                backends.push(*i);
                without_refuge.push(*i);
            }
        }
        Kept { backends, without_refuge }
    }

    /// The best tier of the kept backends, of those that serve where any does.
    fn tier_to_stay_on(&self, kept: &[BackendIndex]) -> Option<usize> {
        let tier = |i: &BackendIndex| self.intent.tier_of(*i);
        let serving = kept.iter().filter(|i| self.serves(**i)).map(tier).min();
        serving.or_else(|| kept.iter().map(tier).min())
    }

    /// The best of the tiers before this one that traffic may return to.
    fn recovered(
        &self,
        tier: usize,
        pending: &mut PendingDelays,
    ) -> Option<(usize, Vec<BackendIndex>)> {
        let policy = &self.intent.policy;
        let requested = self.failback_is_requested();
        let mut best = None;
        for (better, members) in self.intent.tiers.iter().enumerate().take(tier) {
            let mut back = vec![];
            let may_serve = |i: &BackendIndex| self.meets_minimum(*i) && self.may_be_preferred(*i);
            for i in members.iter().copied().filter(may_serve) {
                let at_once = self.left.is_none() || self.was_only_announced(i);
                let lasted = at_once || self.has_lasted(i, policy.failback_delay, pending);
                if lasted && (at_once || !policy.manual_failback || requested) {
                    back.push(i);
                }
            }
            if best.is_none() && !back.is_empty() {
                best = Some((better, back));
            }
        }
        best
    }

    /// Whether a person has ended the manual stay that began when traffic left the primary.
    fn failback_is_requested(&self) -> bool {
        self.intent.policy.failback_requested.is_some_and(|requested| {
            let left = self.left.map_or(i64::MIN, Timestamp::as_second);
            requested <= self.now.wall && requested.as_second() >= left
        })
    }

    /// The kept backends of a tier, and those that join them.
    fn joined(
        &self,
        tier: usize,
        kept: Vec<BackendIndex>,
        pending: &mut PendingDelays,
    ) -> Vec<BackendIndex> {
        let delay = self.intent.policy.failback_delay;
        let mut active = kept;
        active.retain(|i| self.intent.tier_of(*i) == tier);
        for i in self.intent.tiers[tier].iter().copied() {
            let is_new =
                !contains(&self.before, i) && self.meets_minimum(i) && self.may_be_preferred(i);
            let at_once = is_new && self.was_only_announced(i);
            if at_once || is_new && self.has_lasted(i, delay, pending) {
                active.push(i);
            }
        }
        active
    }

    /// Drops the delays of backends that have joined, or that traffic has left.
    fn drop_completed(&self, active: &[BackendIndex], pending: &mut PendingDelays) {
        if pending.is_empty() {
            return;
        }
        let places = self.places();
        let is_pending = |i: BackendIndex| contains(active, i) != self.meets_minimum(i);
        pending.retain(|name, _| places.get(name.as_str()).copied().is_some_and(is_pending));
    }

    /// The best backends by health alone.
    pub(crate) fn best(&self) -> Chosen {
        let (active, reason) = if let Some((tier, active)) = self.best_ready() {
            match active.iter().any(|i| self.serves(*i)) {
                true => (active, self.tier_serves(tier)),
                false => {
                    let reason = self.for_want_of_better(&active);
                    (active, reason)
                }
            }
        } else if let Some((_, active)) = self.tier_with(|i| self.health(*i).is_unknown()) {
            (active, DecisionReason::OnlyUnknownLeft)
        } else {
            (self.last_resort(), DecisionReason::NothingReady)
        };
        Chosen { active, reason, pending: PendingDelays::new() }
    }

    fn tier_serves(&self, tier: usize) -> DecisionReason {
        if tier == 0 { DecisionReason::PrimaryServes } else { DecisionReason::FallbackServes }
    }

    /// The first tier that has a backend of this kind, with all of that kind in it.
    fn tier_with(
        &self,
        of_kind: impl Fn(&BackendIndex) -> bool,
    ) -> Option<(usize, Vec<BackendIndex>)> {
        let members = |tier: &Vec<BackendIndex>| -> Vec<BackendIndex> {
            tier.iter().copied().filter(|i| of_kind(i)).collect()
        };
        self.intent.tiers.iter().map(members).enumerate().find(|(_, members)| !members.is_empty())
    }

    /// What stays active when nothing is ready: what was, unless its Service is gone.
    fn last_resort(&self) -> Vec<BackendIndex> {
        let exists = |i: &BackendIndex| self.health(*i).exists();
        let there: Vec<BackendIndex> = self.before.iter().copied().filter(exists).collect();
        if !there.is_empty() {
            return there;
        }
        let in_order = || self.intent.tiers.iter().flatten().copied();
        if let Some(first) = in_order().find(exists) {
            return vec![first];
        }
        let can_serve = |i: &BackendIndex| self.intent.backends[*i].can_serve();
        let there: Vec<BackendIndex> = self.before.iter().copied().filter(can_serve).collect();
        if there.is_empty() { in_order().find(can_serve).into_iter().collect() } else { there }
    }

    fn conclude(&self, chosen: Chosen) -> Decision {
        let Chosen { mut active, reason, pending } = chosen;
        active.sort_unstable();
        let pinned = reason == DecisionReason::Pinned;
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
        let warm: Vec<BackendIndex> = self
            .intent
            .indices_of_all()
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
            rescue: self.is_rescue(&active, reason),
            left_early: vec![],
            next: None,
            peaks: self.peaks(),
            short: self.short(),
            before: self.before.clone(),
            active,
            reason,
            weights,
            since,
            left,
            pending,
        };
        decision.next = self.next(&decision);
        decision
    }

    fn is_rescue(&self, active: &[BackendIndex], reason: DecisionReason) -> bool {
        let mut left_behind = self.before.iter().filter(|i| !contains(active, **i)).peekable();
        // That a cluster is out of reach, from here, may be so for this replica alone.
        let dead = |i: &BackendIndex| match self.health(*i) {
            Health::Unreachable { .. } | Health::Unknown(_) => false,
            health => !health.is_ready(),
        };
        reason != DecisionReason::Pinned
            && self.intent.policy.failover_delay.is_zero()
            && left_behind.peek().is_some()
            && left_behind.all(dead)
    }

    /// Of each backend that falls short of a percentage, what it is measured by.
    fn peaks(&self) -> Peaks {
        let none = Peaks::new();
        let recorded = self.set.map_or(&none, |set| &set.peaks);
        let mut peaks = Peaks::new();
        for (i, backend) in self.intent.indexed() {
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
        let short = |(i, backend): (BackendIndex, &crate::engine::Backend)| {
            let short = match self.health(i) {
                Health::Seen { ports, .. } => ports.as_ref().map(|ports| ports.short()),
                Health::Unknown(_) | Health::Unreachable { .. } => recorded(&backend.name),
                Health::Missing | Health::Impossible { .. } | Health::ExternalName => None,
            };
            Some((backend.name.clone(), short.filter(|short| !short.is_empty())?))
        };
        self.intent.indexed().filter_map(short).collect()
    }

    fn next(&self, decision: &Decision) -> Option<SignedDuration> {
        let policy = &self.intent.policy;
        let places = if decision.pending.is_empty() { HashMap::new() } else { self.places() };
        let by_delay = decision.pending.iter().map(|(name, since)| {
            let active = places.get(name.as_str()).is_some_and(|i| contains(&decision.active, *i));
            let delay = if active { policy.failover_delay } else { policy.failback_delay };
            delay - since.duration_until(self.now.steady)
        });
        let on_the_wall = |at: &Timestamp| self.now.wall.duration_until(*at);
        let pin_ends = policy.pin_at(self.now.wall).and_then(|pin| pin.until.as_ref());
        let requested = policy.failback_requested.as_ref().filter(|_| decision.left.is_some());
        let percentage = |b: &crate::engine::Backend| matches!(b.min_ready, Threshold::Percent(_));
        let fades = self.intent.backends.iter().any(percentage).then_some(FADING);
        let follows = self.health.iter().filter_map(|health| match health {
            Health::Unknown(Unknown::Changed { until }) => {
                Some(self.now.steady.duration_until(*until))
            }
            _ => None,
        });
        by_delay
            .chain(pin_ends.into_iter().chain(requested).map(on_the_wall))
            .chain(fades)
            .chain(follows)
            .filter(SignedDuration::is_positive)
            .min()
    }

    /// The places of the backends, by name.
    fn places(&self) -> HashMap<&str, BackendIndex> {
        self.intent.indexed().map(|(i, b)| (b.name.as_str(), i)).collect()
    }

    fn names(&self, backends: &[BackendIndex]) -> Vec<String> {
        named(self.intent, backends)
    }
}
