//! Which backends of a set get the traffic: those that keep it, those that it returns to, or the best.

use crate::engine::decision::{contains, named};
use crate::engine::evaluation::Evaluation;
use crate::engine::reason::DecisionReason;
use crate::engine::{BackendIndex, Health, PendingDelays};
use jiff::Timestamp;
use std::collections::HashSet;

/// The backends that get the traffic, and why.
pub(super) struct Choice {
    /// In ascending order.
    pub(super) active: Vec<BackendIndex>,
    pub(super) reason: DecisionReason,
    /// The delays that run on.
    pub(super) pending: PendingDelays,
}

impl Choice {
    fn new(mut active: Vec<BackendIndex>, reason: DecisionReason, pending: PendingDelays) -> Self {
        active.sort_unstable();
        Self { active, reason, pending }
    }
}

impl Evaluation<'_> {
    /// The backends that get the traffic now.
    pub(super) fn choose(&self) -> Choice {
        let choice = self.chosen();
        let is_declared = |i: &BackendIndex| {
            let declared = i.of(self.known).and_then(Health::declared);
            declared.is_some_and(|down| down.seen.is_partly_ready())
        };
        let is_pinned = choice.reason == DecisionReason::Pinned;
        match !is_pinned && choice.active.iter().any(is_declared) {
            true => Choice { reason: DecisionReason::OnlyDeclaredDownLeft, ..choice },
            false => choice,
        }
    }

    fn chosen(&self) -> Choice {
        match self.intent.policy.pin_at(self.now.wall) {
            Some(pin) => {
                let active = pin.backends.clone();
                Choice::new(active, DecisionReason::Pinned, PendingDelays::new())
            }
            None if self.begins() => self.best(),
            None => self.stay_or_move(),
        }
    }

    /// Whether no backend is to be kept: at birth no traffic flows yet, and the end of a pin undoes it.
    fn begins(&self) -> bool {
        self.birth || self.set.is_some_and(|set| set.pinned) && self.left.is_none()
    }

    fn stay_or_move(&self) -> Choice {
        let mut pending = PendingDelays::new();
        let kept = self.kept(&mut pending);
        let Some(tier) = self.tier_to_stay_on(&kept) else { return self.move_to_best(pending) };
        let recovered = self.recovered(tier, &mut pending);
        let (tier, active) =
            recovered.unwrap_or_else(|| (tier, self.joined(tier, kept, &mut pending)));
        let reason = self.reason_on(tier, &active);
        self.without_completed_delays(Choice::new(active, reason, pending))
    }

    /// Nothing is kept: traffic moves to the best backends.
    fn move_to_best(&self, mut pending: PendingDelays) -> Choice {
        let best = self.best();
        // A lost backend among them is still lost.
        let active: HashSet<String> = named(self.intent, &best.active).into_iter().collect();
        pending.retain(|name, _| active.contains(name));
        Choice { pending, ..best }
    }

    /// Why these backends of a tier have the traffic.
    fn reason_on(&self, tier: usize, active: &[BackendIndex]) -> DecisionReason {
        let delay = self.intent.policy.failover_delay;
        if active.iter().any(|i| self.serves(*i)) {
            serving(tier)
        } else if active.iter().any(|i| self.lasts(*i, delay)) {
            self.for_want_of_better(active)
        } else {
            DecisionReason::WaitsForLoss
        }
    }

    /// Of the backends that have the traffic, those that it does not leave now.
    fn kept(&self, pending: &mut PendingDelays) -> Vec<BackendIndex> {
        let delay = self.intent.policy.failover_delay;
        let mut stays = |i: &BackendIndex| {
            // What is declared down is left at once, by all objects together.
            self.serves(*i)
                || !self.is_declared_down(*i)
                    && (!self.has_lasted(*i, delay, pending) || self.has_no_refuge(*i))
        };
        // A backend that can never have traffic gets no weight, whatever the delay.
        let can_serve = |i: &&BackendIndex| self.intent.backends[**i].can_serve();
        self.before.iter().filter(can_serve).copied().filter(|i| stays(i)).collect()
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
    fn without_completed_delays(&self, mut choice: Choice) -> Choice {
        if !choice.pending.is_empty() {
            let (active, places) = (&choice.active, self.places());
            let is_pending = |i: BackendIndex| contains(active, i) != self.meets_minimum(i);
            let is_pending = |name: &str| places.get(name).copied().is_some_and(is_pending);
            choice.pending.retain(|name, _| is_pending(name));
        }
        choice
    }

    /// The best backends by health alone.
    pub(super) fn best(&self) -> Choice {
        let (active, reason) = if let Some((tier, active)) = self.best_ready() {
            let serves = active.iter().any(|i| self.serves(*i));
            let reason = if serves { serving(tier) } else { self.for_want_of_better(&active) };
            (active, reason)
        } else if let Some(active) = self.first_unknown() {
            (active, DecisionReason::OnlyUnknownLeft)
        } else {
            (self.last_resort(), DecisionReason::NothingReady)
        };
        Choice::new(active, reason, PendingDelays::new())
    }

    /// The unknown backends of the first tier that has any.
    fn first_unknown(&self) -> Option<Vec<BackendIndex>> {
        let unknown = |tier: &Vec<BackendIndex>| -> Vec<BackendIndex> {
            tier.iter().copied().filter(|i| self.health(*i).is_unknown()).collect()
        };
        self.intent.tiers.iter().map(unknown).find(|unknown| !unknown.is_empty())
    }

    /// The backends that stay active when nothing is ready: those before, unless their Services are gone.
    fn last_resort(&self) -> Vec<BackendIndex> {
        let exists = |i: &BackendIndex| self.health(*i).exists();
        let can_serve = |i: &BackendIndex| self.intent.backends[*i].can_serve();
        let in_order = || self.intent.tiers.iter().flatten().copied();
        let stay = |those: &dyn Fn(&BackendIndex) -> bool| -> Vec<BackendIndex> {
            self.before.iter().copied().filter(|i| those(i)).collect()
        };
        let some = |backends: Vec<BackendIndex>| Some(backends).filter(|some| !some.is_empty());
        some(stay(&exists))
            .or_else(|| in_order().find(exists).map(|first| vec![first]))
            .or_else(|| some(stay(&can_serve)))
            .or_else(|| in_order().find(can_serve).map(|first| vec![first]))
            .unwrap_or_default()
    }
}

/// The reason where a tier serves.
fn serving(tier: usize) -> DecisionReason {
    match tier {
        0 => DecisionReason::PrimaryServes,
        _ => DecisionReason::FallbackServes,
    }
}
