//! The decision, ahead of losses that are announced: flip first, then let the pods go.

use super::decision::decide_by;
use super::{Decision, Health, Intent, Now, Previous};

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
    let seen = decide_by(intent, health, previous, now);
    let Some(until) = health.iter().filter_map(|h| Some(h.announced()?.until)).min() else {
        return seen;
    };
    if !acts_ahead(intent, now) {
        return seen;
    }
    let without: Vec<Health> = health.iter().map(Health::without_announced).collect();
    let mut ahead = decide_by(intent, &without, previous, now);
    let is_ready = |i: &usize| without.get(*i).is_some_and(Health::is_ready);
    let mut new = ahead.active.iter().filter(|i| !ahead.before.contains(i));
    let moves = ahead.active != seen.active;
    if !moves || !ahead.active.iter().any(is_ready) || !new.all(is_ready) {
        return seen;
    }
    ahead.ahead = seen.active.into_iter().filter(|i| !ahead.active.contains(i)).collect();
    // Then it is decided by what has become of them.
    let ends = now.steady.duration_until(until);
    ahead.next = ahead.next.into_iter().chain([ends]).filter(|next| next.is_positive()).min();
    ahead
}

/// Whether traffic may move before a loss is seen.
pub fn acts_ahead(intent: &Intent, now: Now) -> bool {
    let policy = &intent.policy;
    policy.failover_delay.is_zero() && policy.pin_at(now.wall).is_none() && !policy.paused
}

#[cfg(test)]
#[path = "ahead_tests.rs"]
mod tests;
