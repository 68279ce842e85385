//! The decision, ahead of losses that are announced: flip first, then let the pods go.

use crate::engine::decision::{decide_by, has};
use crate::engine::{Decision, Health, Intent, Now, Peaks, Previous, SteadyTime, remembered};

/// Decides which backends get traffic.
///
/// `health` has an entry for each of `intent.backends`; a missing entry counts as
/// [`Health::Missing`].
///
/// Leaving a backend that no longer serves is a loss: it waits for `failover-delay` alone. Moving
/// to a better one while this one serves is a recovery: it waits for `failback-delay`, and for a
/// person where `failback` is manual, but only where a loss had brought the traffic here.
///
/// Endpoints that are about to be deleted count as gone already, where traffic has a ready backend
/// to go to and its author wants no delay. A loss that was announced and has not come is none: traffic
/// goes back at once.
pub fn decide(intent: &Intent, health: &[Health], previous: Previous<'_>, now: Now) -> Decision {
    let recorded = match previous {
        Previous::Decided(set, _) => Some(set),
        Previous::Birth | Previous::Live => None,
    };
    let health = &*remembered(intent, health, recorded);
    let seen = decide_by(intent, health, previous, now);
    let Some(until) = health.iter().filter_map(|h| Some(h.announced()?.until)).min() else {
        return seen;
    };
    if !acts_ahead(intent, now) {
        return seen;
    }
    let left = match previous {
        Previous::Decided(set, _) => intent.indices(&set.ahead),
        Previous::Birth | Previous::Live => vec![],
    };
    // Where that leaves nothing, what has the traffic keeps it: others that are about to go are no
    // better.
    for keeps in [&[][..], &seen.before] {
        let expect = |(i, health): (usize, &Health)| match has(keeps, i) {
            true => health.clone(),
            false => health.without_announced(),
        };
        let expected: Vec<Health> = health.iter().enumerate().map(expect).collect();
        let ahead = decide_by(intent, &expected, previous, now);
        if ahead.active == seen.active {
            break;
        }
        let stays = || ahead.active.iter().all(|i| has(&seen.before, *i));
        if is_worth_it(&ahead, &seen, intent, &expected)
            || !keeps.is_empty() && stays() && goes_to_what_leaves(&seen, intent, health)
        {
            return concluded(ahead, &seen, &left, intent, health, until, now);
        }
    }
    seen
}

/// Whether a move ahead of a loss has somewhere to go, from where it could be taken back.
fn is_worth_it(ahead: &Decision, seen: &Decision, intent: &Intent, expected: &[Health]) -> bool {
    let is_ready = |i: &usize| expected.get(*i).is_some_and(Health::is_ready);
    let stays = |i: &usize| expected.get(*i).is_some_and(|h| h.without_announced().is_ready());
    let mut new = ahead.active.iter().filter(|i| !has(&ahead.before, **i));
    let best = |of: &[usize]| of.iter().map(|i| intent.tier_of(*i)).min();
    // To a better tier its author lets traffic go only later, or by a person: it could not be taken
    // back from there.
    let climbs = best(&ahead.active) < best(&ahead.before).min(best(&seen.active));
    !climbs && ahead.active.iter().any(is_ready) && new.all(stays)
}

/// Whether traffic would go to a backend that is about to have nothing ready, though one that has the
/// traffic serves.
fn goes_to_what_leaves(seen: &Decision, intent: &Intent, health: &[Health]) -> bool {
    let leaves = |i: &usize| {
        let health = health.get(*i).filter(|health| health.announced().is_some());
        health.is_some_and(|health| !health.without_announced().is_ready())
    };
    // Not known is not down.
    let serves = |i: &usize| {
        health.get(*i).is_some_and(|health| {
            health.is_unknown() || intent.backends[*i].is_met_by(health, &Peaks::new())
        })
    };
    let mut new = seen.active.iter().filter(|i| !has(&seen.before, **i));
    new.any(leaves) && seen.before.iter().any(serves)
}

fn concluded(
    mut ahead: Decision,
    seen: &Decision,
    left: &[usize],
    intent: &Intent,
    health: &[Health],
    until: SteadyTime,
    now: Now,
) -> Decision {
    let best = |of: &[usize]| of.iter().map(|i| intent.tier_of(*i)).min();
    // Those in between have been passed over for a word too.
    let passed = |i: usize| {
        let tier = Some(intent.tier_of(i));
        best(&seen.active) < tier && tier < best(&ahead.active)
    };
    let concerned = |i: usize| {
        let had = [&seen.active, &ahead.before, left].iter().any(|of| has(of, i));
        had || passed(i)
    };
    // What falls short as it is has been lost.
    let serves = |i: usize| {
        let announced = health.get(i).filter(|health| health.announced().is_some());
        announced.is_some_and(|health| intent.backends[i].is_met_by(health, &Peaks::new()))
    };
    let is_left = |i: &usize| !has(&ahead.active, *i) && concerned(*i) && serves(*i);
    ahead.ahead = (0..intent.backends.len()).filter(is_left).collect();
    // Not every replica hears of every announcement: a standby leaves only what is dead already.
    let is_ready = |i: &usize| health.get(*i).is_some_and(Health::is_ready);
    let mut behind = ahead.before.iter().filter(|i| !has(&ahead.active, **i));
    ahead.rescue = seen.rescue && !behind.any(is_ready);
    // Then it is decided by what has become of them.
    let ends = now.steady.duration_until(until);
    ahead.next = ahead.next.into_iter().chain([ends]).filter(|next| next.is_positive()).min();
    ahead
}

/// Whether traffic may move before a loss is seen.
pub(crate) fn acts_ahead(intent: &Intent, now: Now) -> bool {
    let policy = &intent.policy;
    policy.failover_delay.is_zero() && policy.pin_at(now.wall).is_none() && !policy.paused
}

#[cfg(test)]
#[path = "announced_tests.rs"]
mod tests;
