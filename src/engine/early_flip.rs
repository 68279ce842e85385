//! Early flips: traffic moves off announced pods first, then they are deleted.

use crate::engine::conclusion::decide_by_health;
use crate::engine::decision::contains;
use crate::engine::{BackendIndex, Decision, Health, Intent, Now, Peaks, Previous, SteadyTime};
use jiff::SignedDuration;

/// The decision that moves traffic off announced pods; none where what is `seen` decides.
pub(super) fn early_flip(
    seen: &Decision,
    intent: &Intent,
    health: &[Health],
    previous: Previous<'_>,
    now: Now,
) -> Option<Decision> {
    let until = health.iter().filter_map(|health| Some(health.announced()?.until)).min();
    let until = until.filter(|_| flips_early(intent, now))?;
    let announcements = Announcements { seen, intent, health, previous, now };
    announcements.flip().map(|flip| announcements.complete(flip, until))
}

/// Whether traffic may move before a loss is seen.
pub(crate) fn flips_early(intent: &Intent, now: Now) -> bool {
    let policy = &intent.policy;
    policy.failover_delay.is_zero()
        && policy.pin_at(now.wall).is_none()
        && !policy.paused_at(now.wall)
}

/// Announced pods of the backends of a set, and what is decided without regard to them.
struct Announcements<'a> {
    seen: &'a Decision,
    intent: &'a Intent,
    health: &'a [Health],
    previous: Previous<'a>,
    now: Now,
}

/// What is decided once announced pods are gone.
struct Candidate {
    decision: Decision,
    /// By this health.
    expected: Vec<Health>,
}

impl Announcements<'_> {
    /// The early flip, if one is worth it: with every announced pod gone, or else with those of the
    /// backends gone that do not have the traffic.
    fn flip(&self) -> Option<Decision> {
        let all_gone = Some(self.candidate(&[])).filter(|all_gone| self.is_move(all_gone))?;
        if self.is_worth_it(&all_gone) {
            return Some(all_gone.decision);
        }
        // Where that has no ready backend, traffic stays where it is: others that are about to go are
        // no better.
        let stays = self.candidate(&self.seen.before);
        let flips = |stays: &Candidate| {
            self.is_move(stays) && (self.is_worth_it(stays) || self.avoids_another_loss(stays))
        };
        Some(stays).filter(flips).map(|stays| stays.decision)
    }

    /// What is decided once the announced pods are gone, but for those of backends that keep theirs.
    fn candidate(&self, keeping: &[BackendIndex]) -> Candidate {
        let expect = |(i, health): (BackendIndex, &Health)| match contains(keeping, i) {
            true => health.clone(),
            false => health.without_announced(),
        };
        let each = BackendIndex::all(self.health.len()).zip(self.health);
        let expected: Vec<Health> = each.map(expect).collect();
        let decision = decide_by_health(self.intent, &expected, self.previous, self.now);
        Candidate { decision, expected }
    }

    /// Whether it decides otherwise than what is seen.
    fn is_move(&self, candidate: &Candidate) -> bool {
        candidate.decision.active != self.seen.active
    }

    /// Whether it moves traffic to a ready backend, from where it could return.
    fn is_worth_it(&self, Candidate { decision, expected }: &Candidate) -> bool {
        let is_ready = |i: &BackendIndex| i.of(expected).is_some_and(Health::is_ready);
        let remains =
            |i: &BackendIndex| i.of(expected).is_some_and(|h| h.without_announced().is_ready());
        let mut new = decision.active.iter().filter(|i| !contains(&decision.before, **i));
        // To a better tier its author lets traffic go only later, or by a person: it could not return
        // from there.
        let before = self.best_tier(&decision.before).min(self.best_tier(&self.seen.active));
        let climbs = self.best_tier(&decision.active) < before;
        !climbs && decision.active.iter().any(is_ready) && new.all(remains)
    }

    /// Whether traffic stays where it is, and would otherwise go to a backend that is about to have
    /// nothing ready, though one that has the traffic serves.
    fn avoids_another_loss(&self, Candidate { decision, .. }: &Candidate) -> bool {
        let seen = self.seen;
        let ends = |i: &BackendIndex| {
            let announced = i.of(self.health).filter(|health| health.announced().is_some());
            announced.is_some_and(|health| !health.without_announced().is_ready())
        };
        // Not known is not down.
        let serves = |i: &BackendIndex| {
            let health = i.of(self.health);
            health.is_some_and(|health| health.is_unknown() || self.meets_minimum(*i, health))
        };
        let mut new = seen.active.iter().filter(|i| !contains(&seen.before, **i));
        decision.active.iter().all(|i| contains(&seen.before, *i))
            && new.any(ends)
            && seen.before.iter().any(serves)
    }

    /// An early flip, with what follows from its being early.
    fn complete(&self, flip: Decision, until: SteadyTime) -> Decision {
        // Not every replica gets every announcement: a rescue moves traffic off dead backends only.
        let is_ready = |i: &BackendIndex| i.of(self.health).is_some_and(Health::is_ready);
        let mut behind = flip.before.iter().filter(|i| !contains(&flip.active, **i));
        // When the announcement is no longer believed, what has become of the pods decides.
        let ends = self.now.steady.duration_until(until);
        Decision {
            left_early: self.left_early(&flip),
            rescue: self.seen.rescue && !behind.any(is_ready),
            next: flip.next.into_iter().chain([ends]).filter(SignedDuration::is_positive).min(),
            ..flip
        }
    }

    /// The backends that it leaves early, and those that were left early before and get no traffic yet.
    fn left_early(&self, flip: &Decision) -> Vec<BackendIndex> {
        let recorded = self.previous.decided();
        let before = recorded.map(|(set, _)| self.intent.indices(&set.left_early));
        let before = before.unwrap_or_default();
        // The tiers in between are passed over for an announcement too.
        let is_passed = |i: BackendIndex| {
            let tier = Some(self.intent.tier_of(i));
            self.best_tier(&self.seen.active) < tier && tier < self.best_tier(&flip.active)
        };
        let had_traffic = |i: BackendIndex| {
            [&self.seen.active, &flip.before, &before].iter().any(|of| contains(of, i))
        };
        // What falls short as it is has been lost.
        let serves = |i: BackendIndex| {
            let announced = i.of(self.health).filter(|health| health.announced().is_some());
            announced.is_some_and(|health| self.meets_minimum(i, health))
        };
        let is_left_early = |i: &BackendIndex| {
            !contains(&flip.active, *i) && (had_traffic(*i) || is_passed(*i)) && serves(*i)
        };
        self.intent.indices_of_all().filter(is_left_early).collect()
    }

    fn best_tier(&self, of: &[BackendIndex]) -> Option<usize> {
        of.iter().map(|i| self.intent.tier_of(*i)).min()
    }

    fn meets_minimum(&self, i: BackendIndex, health: &Health) -> bool {
        self.intent.backends[i].is_met_by(health, &Peaks::new())
    }
}

#[cfg(test)]
#[path = "early_flip_tests.rs"]
mod tests;
