//! Which replica may move traffic, and when, so that replicas never fight.
//!
//! The Lease says who goes first. A standby makes a move that the leader does not make, but only
//! one off a dead backend, only after a consistent LIST has agreed, and not again once it has been
//! reversed. Nobody reverses a fresh move of another replica before such a LIST agrees.

use crate::engine::Identity;
use crate::index::managed_object::Decider;
use jiff::SignedDuration;

/// How long a standby defers a move to the leader.
pub(crate) const STANDBY_DELAY: SignedDuration = SignedDuration::from_secs(1);

/// A leader that works on other objects is not preempted, but not for longer than this.
const BUSY: SignedDuration = SignedDuration::from_secs(10);

/// A move of another replica that has been seen for this long was seen with caches as young: every
/// watch has been renewed since (`list_watch::READ_TIMEOUT`). Reversing it needs no LIST.
const FRESH: SignedDuration = SignedDuration::from_secs(60);

/// How long the lower engine version defers a dead backend to the higher one, which may be alive.
const YIELD: SignedDuration = SignedDuration::from_secs(5);

/// A move that one replica wants to make.
#[derive(Clone, Copy, Debug)]
pub(crate) struct WriteRequest<'a> {
    pub me: &'a Identity,
    pub leading: bool,
    /// The replica that moved the traffic to where it is.
    pub decider: Option<&'a Decider>,
    /// For how long that has been seen here.
    pub seen_for: SignedDuration,
    /// The move is only off dead backends, and its author wants no delay.
    pub rescue: bool,
    /// For how long this replica has wanted it.
    pub wanted_for: SignedDuration,
    /// For how long no other replica has been seen to move anything.
    pub others_quiet_for: SignedDuration,
    /// A LIST made past the watch, just now, agrees.
    pub confirmed: bool,
    /// This replica made the very same move as a standby, and another took it back.
    pub reversed: bool,
    /// One of its moves as a standby was reversed: it makes no other.
    pub silent: bool,
}

/// What to do about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Permission {
    /// Make it.
    Write,
    /// Ask the API server whether the caches are right, then decide again.
    Confirm,
    /// Decide again after this.
    Wait(SignedDuration),
    /// The leader decides it.
    DeferToLeader,
    /// The leader decides this one and every other, until this replica leads.
    FallSilent,
}

pub(crate) fn permission(case: &WriteRequest<'_>) -> Permission {
    let others = case.decider.filter(|decider| *decider.replica != *case.me.replica);
    let fresh = others.filter(|_| case.seen_for < FRESH);
    let yields = fresh.is_some_and(|by| is_newer(&by.engine, &case.me.engine));
    if !case.leading && (!case.rescue || case.silent) {
        return Permission::DeferToLeader;
    }
    let mut wait = SignedDuration::ZERO;
    if yields {
        let ends = if case.rescue { YIELD - case.wanted_for } else { FRESH - case.seen_for };
        wait = wait.max(ends);
    }
    if !case.leading {
        let quiet = case.others_quiet_for.max(case.wanted_for - BUSY);
        wait = wait.max(STANDBY_DELAY - case.wanted_for).max(STANDBY_DELAY - quiet);
    }
    if wait.is_positive() {
        return Permission::Wait(wait);
    }
    if !case.leading && case.reversed {
        return Permission::FallSilent;
    }
    #[cfg(feature = "planted-faults")]
    if case.leading && crate::planted_faults::reverses_without_list() {
        return Permission::Write;
    }
    if case.confirmed || case.leading && fresh.is_none() {
        Permission::Write
    } else {
        Permission::Confirm
    }
}

/// Whether an engine's version is higher than another's; one that is no version is the lowest.
fn is_newer(version: &str, than: &str) -> bool {
    let read = |version: &str| semver::Version::parse(version).ok();
    read(version) > read(than)
}

#[cfg(test)]
#[path = "arbitration_tests.rs"]
mod tests;
