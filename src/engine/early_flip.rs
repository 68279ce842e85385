//! The decision, ahead of losses that are announced: traffic moves first, then the pods are deleted.

use crate::engine::decision::contains;
use crate::engine::evaluation::decide_by;
use crate::engine::{
    BackendIndex, Decision, Health, Intent, Now, Peaks, Previous, SteadyTime, remembered,
};

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
///
/// ```
/// use linkerd_failover::engine::{Defaults, Health, Intent, Now, Previous, decide};
/// use linkerd_failover::kinds::Kind;
///
/// let split = serde_json::from_value(serde_json::json!({
///     "apiVersion": "split.smi-spec.io/v1alpha2", "kind": "TrafficSplit",
///     "metadata": {"name": "emoji", "namespace": "emojivoto"},
///     "spec": {"service": "emoji", "backends": [
///         {"service": "emoji", "weight": 1}, {"service": "emoji-west", "weight": 0},
///     ]},
/// })).unwrap();
/// let declared = Kind::TrafficSplit.read(&split);
/// let intent = &Intent::parse(&declared, &Defaults::default()).unwrap()[0];
/// let down = Health::Seen { ready: 0, total: 2, peak: 2, announced: None, ports: None };
/// let up = Health::Seen { ready: 2, total: 2, peak: 2, announced: None, ports: None };
/// let decision = decide(intent, &[down, up], Previous::Live, Now::default());
/// assert_eq!(decision.weights, [0, 1]);
/// assert_eq!(decision.names(intent), ["emoji-west"]);
/// ```
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
    if !flips_early(intent, now) {
        return seen;
    }
    let left = match previous {
        Previous::Decided(set, _) => intent.indices(&set.left_early),
        Previous::Birth | Previous::Live => vec![],
    };
    // Where that would have no ready backend, traffic stays where it is: others that are about to go
    // are no better.
    for keeps in [&[][..], &seen.before] {
        let expect = |(i, health): (BackendIndex, &Health)| match contains(keeps, i) {
            true => health.clone(),
            false => health.without_announced(),
        };
        let expected: Vec<Health> =
            BackendIndex::all(health.len()).zip(health).map(expect).collect();
        let ahead = decide_by(intent, &expected, previous, now);
        if ahead.active == seen.active {
            break;
        }
        let stays = || ahead.active.iter().all(|i| contains(&seen.before, *i));
        if is_worth_it(&ahead, &seen, intent, &expected)
            || !keeps.is_empty() && stays() && moves_to_a_backend_that_ends(&seen, intent, health)
        {
            return early(ahead, &seen, &left, intent, health, until, now);
        }
    }
    seen
}

/// Whether a move ahead of a loss has somewhere to go, from where it could be taken back.
fn is_worth_it(ahead: &Decision, seen: &Decision, intent: &Intent, expected: &[Health]) -> bool {
    let is_ready = |i: &BackendIndex| i.of(expected).is_some_and(Health::is_ready);
    let stays = |i: &BackendIndex| i.of(expected).is_some_and(|h| h.without_announced().is_ready());
    let mut new = ahead.active.iter().filter(|i| !contains(&ahead.before, **i));
    let best = |of: &[BackendIndex]| of.iter().map(|i| intent.tier_of(*i)).min();
    // To a better tier its author lets traffic go only later, or by a person: it could not be taken
    // back from there.
    let climbs = best(&ahead.active) < best(&ahead.before).min(best(&seen.active));
    !climbs && ahead.active.iter().any(is_ready) && new.all(stays)
}

/// Whether traffic would go to a backend that is about to have nothing ready, though one that has the
/// traffic serves.
fn moves_to_a_backend_that_ends(seen: &Decision, intent: &Intent, health: &[Health]) -> bool {
    let ends = |i: &BackendIndex| {
        let health = i.of(health).filter(|health| health.announced().is_some());
        health.is_some_and(|health| !health.without_announced().is_ready())
    };
    // Not known is not down.
    let serves = |i: &BackendIndex| {
        i.of(health).is_some_and(|health| {
            health.is_unknown() || intent.backends[*i].is_met_by(health, &Peaks::new())
        })
    };
    let mut new = seen.active.iter().filter(|i| !contains(&seen.before, **i));
    new.any(ends) && seen.before.iter().any(serves)
}

fn early(
    mut ahead: Decision,
    seen: &Decision,
    left: &[BackendIndex],
    intent: &Intent,
    health: &[Health],
    until: SteadyTime,
    now: Now,
) -> Decision {
    let best = |of: &[BackendIndex]| of.iter().map(|i| intent.tier_of(*i)).min();
    // The tiers in between have been passed over for an announcement too.
    let passed = |i: BackendIndex| {
        let tier = Some(intent.tier_of(i));
        best(&seen.active) < tier && tier < best(&ahead.active)
    };
    let concerned = |i: BackendIndex| {
        let had = [&seen.active, &ahead.before, left].iter().any(|of| contains(of, i));
        had || passed(i)
    };
    // What falls short as it is has been lost.
    let serves = |i: BackendIndex| {
        let announced = i.of(health).filter(|health| health.announced().is_some());
        announced.is_some_and(|health| intent.backends[i].is_met_by(health, &Peaks::new()))
    };
    let is_left = |i: &BackendIndex| !contains(&ahead.active, *i) && concerned(*i) && serves(*i);
    ahead.left_early = intent.indices_of_all().filter(is_left).collect();
    // Not every replica gets every announcement: a rescue moves traffic off dead backends only.
    let is_ready = |i: &BackendIndex| i.of(health).is_some_and(Health::is_ready);
    let mut behind = ahead.before.iter().filter(|i| !contains(&ahead.active, **i));
    ahead.rescue = seen.rescue && !behind.any(is_ready);
    // Then it is decided by what has become of them.
    let ends = now.steady.duration_until(until);
    ahead.next = ahead.next.into_iter().chain([ends]).filter(|next| next.is_positive()).min();
    ahead
}

/// Whether traffic may move before a loss is seen.
pub(crate) fn flips_early(intent: &Intent, now: Now) -> bool {
    let policy = &intent.policy;
    policy.failover_delay.is_zero() && policy.pin_at(now.wall).is_none() && !policy.paused
}

#[cfg(test)]
#[path = "early_flip_tests.rs"]
mod tests;
