//! Attempts at writes: how they fail, when the next one is made, and whether one without an answer
//! has landed.

use crate::clock::backoff::Backoff;
use crate::engine::Identity;
use crate::index::change::Noticed;
use crate::index::managed_object::ManagedObject;
use crate::reconciler::lanes::Lane;
use crate::reconciler::overwrites::OverwriteTracker;
use crate::reconciler::request::RequestError;
use crate::reconciler::write::{ActiveBackends, Write};
use crate::telemetry::WriteResult;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A conflict, or an object that is not found, is reported once it has lasted for this long.
const REPORTED_AFTER: Duration = Duration::from_secs(10);

/// How a write failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum WriteFailure {
    /// Somebody else wrote first.
    Conflict,
    /// The API server answers that there is no such object.
    Gone,
    /// The API server or a webhook denied it, or it could not be sent.
    Refused,
    /// No answer in time.
    Unanswered,
    /// The API server has not looked at it, and asks to wait for so long.
    Throttled(Duration),
}

impl WriteFailure {
    /// How a request failed that was answered otherwise than with a conflict.
    pub(crate) fn of(error: &RequestError) -> Self {
        match error {
            RequestError::Unanswered(_) => Self::Unanswered,
            RequestError::Throttled(throttled) => {
                Self::Throttled(throttled.after.min(LONGEST_PAUSE))
            }
            RequestError::Failed(_) => Self::Refused,
        }
    }

    /// How long the API server asks to wait, where it throttles.
    pub(crate) fn pause(self) -> Option<Duration> {
        match self {
            Self::Throttled(pause) => Some(pause),
            _ => None,
        }
    }

    /// As metrics count it.
    pub(crate) fn result(self) -> WriteResult {
        match self {
            Self::Conflict => WriteResult::Conflict,
            Self::Gone | Self::Refused | Self::Unanswered => WriteResult::Failed,
            Self::Throttled(_) => WriteResult::Throttled,
        }
    }
}

/// An API server asks for 32 s at most.
const LONGEST_PAUSE: Duration = Duration::from_secs(32);

/// This many conflicts in a row are usual where others write too.
const USUAL_CONFLICTS: u32 = 3;

const RETRY: Backoff = Backoff::new(Duration::from_millis(50), Duration::from_secs(5));

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
    /// One more failure; `before`: the streak of whatever was to be written, `alike`: it was the same.
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
            // It is answered at once.
            WriteFailure::Throttled(_) => Lane::Fast,
            _ => Lane::Refused,
        }
    }

    /// Whether the next try reads the object again where it meets a conflict.
    pub(crate) fn reads_again(&self) -> bool {
        self.last == WriteFailure::Conflict
    }

    /// Whether the failure is reported: a conflict, an object that is not found, or throttling only once
    /// it lasts.
    pub(crate) fn is_reported(&self, now: Instant) -> bool {
        match self.last {
            WriteFailure::Refused | WriteFailure::Unanswered => true,
            WriteFailure::Conflict | WriteFailure::Gone | WriteFailure::Throttled(_) => {
                now.saturating_duration_since(self.since) >= REPORTED_AFTER
            }
        }
    }
}

/// What identifies an attempt.
pub(crate) trait AttemptKey: PartialEq {
    /// Whether the other attempt writes the same, from whatever version of the object.
    fn writes_the_same(&self, other: &Self) -> bool;
}

/// The version that a write is decided from, and the weights that it writes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct WriteKey {
    resource_version: String,
    weights: Vec<u32>,
}

impl From<&Write> for WriteKey {
    fn from(write: &Write) -> Self {
        Self { resource_version: write.resource_version.clone(), weights: write.weights.clone() }
    }
}

impl AttemptKey for WriteKey {
    fn writes_the_same(&self, other: &Self) -> bool {
        self.weights == other.weights
    }
}

/// A failed attempt, and when the same may be made again.
#[derive(Clone, Debug)]
pub(crate) struct FailedAttempt<K> {
    streak: FailureStreak,
    not_before: Instant,
    key: K,
}

impl<K: AttemptKey> FailedAttempt<K> {
    /// One more failure. Returns how long to wait before the next attempt too.
    pub(crate) fn after(
        before: Option<&Self>,
        key: K,
        failure: WriteFailure,
        now: Instant,
    ) -> (Self, Duration) {
        let alike = before.is_some_and(|before| before.key.writes_the_same(&key));
        let streak = FailureStreak::after(before.map(|b| &b.streak), alike, failure, now);
        let wait = failure.pause().unwrap_or_default() + RETRY.jittered(streak.times);
        (Self { streak, not_before: now + wait, key }, wait)
    }

    pub(crate) fn streak(&self) -> FailureStreak {
        self.streak
    }

    pub(crate) fn key(&self) -> &K {
        &self.key
    }
}

/// When an attempt may be made, by the attempts before it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Retry {
    /// How long to wait.
    pub wait: Duration,
    /// How often another writer has overwritten these weights, where that makes it wait.
    pub overwritten: Option<u32>,
}

impl Retry {
    /// A newer decision, or one from newer facts, does not wait for an attempt that failed.
    pub(crate) fn of<K: AttemptKey>(
        key: &K,
        weights: &[u32],
        failed: Option<&FailedAttempt<K>>,
        overwrites: Option<&OverwriteTracker>,
        now: Instant,
    ) -> Self {
        let failed = failed.filter(|failed| failed.key == *key);
        let wait = failed.map(|f| f.not_before.saturating_duration_since(now)).unwrap_or_default();
        if !wait.is_zero() {
            return Self { wait, overwritten: None };
        }
        match overwrites.and_then(|overwrites| overwrites.again(weights, now)) {
            Some((times, wait)) => Self { wait, overwritten: Some(times) },
            None => Self::default(),
        }
    }
}

/// A write that has begun.
#[derive(Debug)]
pub(crate) struct Attempt {
    pub write: Arc<Write>,
    /// Where the sets that it moves go.
    pub active: ActiveBackends,
    pub as_standby: bool,
    pub noticed: Noticed,
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
        // A move of some sets does not determine the weights of the others.
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
    use crate::client::throttled::Throttled;

    fn streak(failures: &[WriteFailure], start: Instant) -> FailureStreak {
        let each = Duration::from_secs(4);
        let mut streak: Option<FailureStreak> = None;
        for (n, failure) in (0..).zip(failures) {
            streak = Some(FailureStreak::after(streak.as_ref(), true, *failure, start + each * n));
        }
        streak.unwrap()
    }

    #[test]
    fn refused_and_unanswered_writes_are_reported_at_once_and_others_once_they_last() {
        use WriteFailure::{Conflict, Gone, Refused, Unanswered};
        let start = Instant::now();
        for (failures, at, reported) in [
            (&[Refused][..], 0, true),
            (&[Unanswered], 0, true),
            (&[Conflict], 0, false),
            (&[Conflict, Conflict, Gone], 9, false),
            (&[Conflict, Conflict, Gone], 10, true),
            (&[Gone, Gone, Gone, Gone], 12, true),
        ] {
            let streak = streak(failures, start);
            assert_eq!(
                streak.is_reported(start + Duration::from_secs(at)),
                reported,
                "{failures:?} {at}"
            );
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
    fn a_throttled_write_waits_as_long_as_asked_and_goes_by_the_fast_lane_again() {
        let (now, asked) = (Instant::now(), Duration::from_secs(3));
        let key = WriteKey { resource_version: "1".into(), weights: vec![0, 1] };
        let error = kube::Error::Service(Throttled { after: asked }.into());
        let failure = WriteFailure::of(&RequestError::from(error));
        let (failed, wait) = FailedAttempt::after(None, key.clone(), failure, now);
        assert!(wait >= asked && wait < asked * 2, "{wait:?}");
        assert_eq!(failed.streak().lane(), Lane::Fast);
        assert!(!failed.streak().is_reported(now + Duration::from_secs(9)));
        let again = |at| Retry::of(&key, &key.weights, Some(&failed), None, at).wait;
        assert!(!again(now + asked - Duration::from_millis(1)).is_zero());
        assert!(again(now + wait).is_zero());
    }

    #[test]
    fn only_the_very_same_attempt_waits() {
        let now = Instant::now();
        let key = |version: &str, weight| WriteKey {
            resource_version: version.into(),
            weights: vec![weight],
        };
        let (failed, wait) = FailedAttempt::after(None, key("1", 0), WriteFailure::Refused, now);
        let retry = |key: &WriteKey| Retry::of(key, &key.weights, Some(&failed), None, now);
        assert_eq!(retry(&key("1", 0)), Retry { wait, overwritten: None });
        assert_eq!(retry(&key("2", 0)), Retry::default(), "newer facts");
        assert_eq!(retry(&key("1", 1)), Retry::default(), "a newer decision");
        let (again, _) =
            FailedAttempt::after(Some(&failed), key("2", 0), WriteFailure::Refused, now);
        assert_eq!(again.streak().times, 2);
        let (other, _) =
            FailedAttempt::after(Some(&failed), key("2", 1), WriteFailure::Refused, now);
        assert_eq!(other.streak().times, 1);
    }

    #[test]
    fn another_decision_begins_a_new_streak_for_an_object_that_hangs_all_the_same() {
        let now = Instant::now();
        let hung = streak(&[WriteFailure::Unanswered, WriteFailure::Unanswered], now);
        let next = FailureStreak::after(Some(&hung), false, WriteFailure::Unanswered, now);
        assert_eq!((next.times, next.unanswered), (1, 3));
    }
}
