//! Writes that were tried: how they failed, and whether one without an answer has landed.

use crate::engine::Identity;
use crate::index::managed_object::ManagedObject;
use crate::reconciler::lanes::Lane;
use crate::reconciler::plan::{Active, Write};
use std::time::{Duration, Instant};

/// A conflict, or an object that is not found, is told once it has lasted for so long.
const LASTS: Duration = Duration::from_secs(10);

/// How a write failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum WriteFailure {
    /// Somebody else wrote first.
    Conflict,
    /// There is no such object, it is said.
    Gone,
    Refused,
    /// No answer in time.
    Unanswered,
}

/// So many conflicts in a row are no more than others who write too.
const USUAL_CONFLICTS: u32 = 3;

/// How often writes have failed in a row, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FailureStreak {
    pub times: u32,
    pub since: Instant,
    /// Those that had no answer: the object is known to hang until a write of it lands.
    pub unanswered: u32,
    last: WriteFailure,
}

impl FailureStreak {
    /// One more failure; `before`: of whatever was to be written, `alike`: of the very same.
    pub(crate) fn after(
        before: Option<&Self>,
        alike: bool,
        failure: WriteFailure,
        now: Instant,
    ) -> Self {
        let same = before.filter(|_| alike);
        let unanswered = before.map_or(0, |before| before.unanswered);
        Self {
            times: same.map_or(1, |before| before.times.saturating_add(1)),
            since: same.map_or(now, |before| before.since),
            unanswered: unanswered.saturating_add(u32::from(failure == WriteFailure::Unanswered)),
            last: failure,
        }
    }

    /// The lane of the next try.
    pub(crate) fn lane(&self) -> Lane {
        match self.last {
            _ if self.unanswered > 0 => Lane::Hung,
            WriteFailure::Conflict if self.times <= USUAL_CONFLICTS => Lane::Fast,
            _ => Lane::Refused,
        }
    }

    /// Whether the next try reads the object anew where it meets a conflict.
    pub(crate) fn looks(&self) -> bool {
        self.last == WriteFailure::Conflict
    }

    /// Whether people are told: of a conflict, or an object that is not found, only once that lasts.
    pub(crate) fn is_told(&self, now: Instant) -> bool {
        match self.last {
            WriteFailure::Refused | WriteFailure::Unanswered => true,
            WriteFailure::Conflict | WriteFailure::Gone => {
                now.saturating_duration_since(self.since) >= LASTS
            }
        }
    }
}

/// A write that failed, and when the very same may be tried again.
#[derive(Debug)]
pub(crate) struct FailedWrite {
    pub streak: FailureStreak,
    pub not_before: Instant,
    resource_version: String,
    weights: Vec<u32>,
}

impl FailedWrite {
    pub(crate) fn new(streak: FailureStreak, write: &Write, not_before: Instant) -> Self {
        Self {
            streak,
            not_before,
            resource_version: write.resource_version.clone(),
            weights: write.weights.clone(),
        }
    }

    /// Whether this write would be the same again: not a newer decision, nor one from newer facts.
    pub(crate) fn is_same(&self, write: &Write) -> bool {
        self.resource_version == write.resource_version && self.is_alike(write)
    }

    /// Whether this write would be the same again but for the version that it is decided from.
    pub(crate) fn is_alike(&self, write: &Write) -> bool {
        self.weights == write.weights
    }
}

/// A write that was made, until it is known how it ended.
#[derive(Debug)]
pub(crate) struct Attempt {
    pub write: Write,
    /// Where the sets that it moves go.
    pub active: Active,
    pub as_standby: bool,
    /// When its object was first noticed.
    pub noticed: Instant,
}

impl Attempt {
    /// Whether it has landed after all, by the object as it is seen now; none while that is the version
    /// that it was made from.
    pub(crate) fn has_landed(&self, managed: &ManagedObject, me: &Identity) -> Option<bool> {
        if managed.resource_version == self.write.resource_version {
            return None;
        }
        let by_me = managed.decider.as_ref().is_some_and(|by| *by.replica == *me.replica);
        let sets = managed.readable();
        let there = |(set, active): (&String, &Vec<String>)| {
            let state = sets.iter().find(|s| s.intent.set == *set).and_then(|s| s.state.as_ref());
            state.is_some_and(|state| state.active == *active)
        };
        // A move of some sets only says nothing of the weights of the others.
        let live: Vec<u32> =
            sets.iter().flat_map(|set| set.intent.backends.iter().map(|b| b.live)).collect();
        let weights = live.len() != self.write.weights.len() || live == self.write.weights;
        let same = managed.uid == self.write.uid;
        Some(same && by_me && weights && self.active.iter().all(there))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn streak(failures: &[WriteFailure], start: Instant) -> FailureStreak {
        let each = Duration::from_secs(4);
        let mut streak: Option<FailureStreak> = None;
        for (n, failure) in (0..).zip(failures) {
            streak = Some(FailureStreak::after(streak.as_ref(), true, *failure, start + each * n));
        }
        streak.unwrap()
    }

    #[test]
    fn refused_and_unanswered_writes_are_told_at_once_and_others_once_they_last() {
        use WriteFailure::{Conflict, Gone, Refused, Unanswered};
        let start = Instant::now();
        for (failures, at, told) in [
            (&[Refused][..], 0, true),
            (&[Unanswered], 0, true),
            (&[Conflict], 0, false),
            (&[Conflict, Conflict, Gone], 9, false),
            (&[Conflict, Conflict, Gone], 10, true),
            (&[Gone, Gone, Gone, Gone], 12, true),
        ] {
            let streak = streak(failures, start);
            assert_eq!(streak.is_told(start + Duration::from_secs(at)), told, "{failures:?} {at}");
        }
    }

    #[test]
    fn the_lane_goes_by_how_the_last_ones_failed_and_one_that_hung_is_not_forgotten() {
        use WriteFailure::{Conflict, Gone, Refused, Unanswered};
        let start = Instant::now();
        for (failures, lane) in [
            (&[Conflict][..], Lane::Fast),
            (&[Conflict, Conflict, Conflict, Conflict], Lane::Refused),
            (&[Refused], Lane::Refused),
            (&[Gone], Lane::Refused),
            (&[Unanswered], Lane::Hung),
            (&[Unanswered, Refused, Conflict], Lane::Hung),
        ] {
            assert_eq!(streak(failures, start).lane(), lane, "{failures:?}");
        }
    }

    #[test]
    fn another_decision_begins_a_new_streak_for_an_object_that_hangs_all_the_same() {
        let now = Instant::now();
        let hung = streak(&[WriteFailure::Unanswered, WriteFailure::Unanswered], now);
        let next = FailureStreak::after(Some(&hung), false, WriteFailure::Unanswered, now);
        assert_eq!((next.times, next.unanswered), (1, 3));
    }
}
