//! Two clocks, and two types of time that do not mix.
//!
//! Times in annotations are a [`Timestamp`]: wall-clock time, which may jump. How long
//! something has lasted is measured in [`SteadyTime`], which never does.

use jiff::{SignedDuration, Timestamp};
use std::collections::BTreeMap;

/// A time of the steady clock of this process. It is never written down: every process has a steady
/// clock of its own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SteadyTime(Timestamp);

impl SteadyTime {
    /// Before every other time.
    pub const MIN: Self = Self(Timestamp::MIN);
    /// After every other time.
    pub const MAX: Self = Self(Timestamp::MAX);

    /// The steady clock starts with the time of the wall clock.
    pub fn starting_at(wall: Timestamp) -> Self {
        Self(wall)
    }

    /// How long it is until `later`; negative where that is earlier.
    pub fn duration_until(self, later: Self) -> SignedDuration {
        self.0.duration_until(later.0)
    }

    /// The time after `by`, at most [`Self::MAX`] and at least [`Self::MIN`].
    pub fn saturating_add(self, by: SignedDuration) -> Self {
        let limit = if by.is_negative() { Self::MIN } else { Self::MAX };
        self.0.checked_add(by).map_or(limit, Self)
    }

    /// The time `by` ago; none where no clock goes back so far.
    pub fn checked_sub(self, by: SignedDuration) -> Option<Self> {
        self.0.checked_sub(by).ok().map(Self)
    }

    /// For a library whose steady time is a timestamp.
    pub fn as_timestamp(self) -> Timestamp {
        self.0
    }

    /// Drops what is finer than a millisecond.
    pub(crate) fn to_the_millisecond(self) -> Self {
        Self(to_the_millisecond(self.0))
    }

    /// The time so many seconds after the start of the epoch.
    #[cfg(test)]
    pub(crate) fn at(seconds: i64) -> Self {
        Self(Timestamp::from_second(seconds).expect("within range"))
    }
}

/// The current time by both clocks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Now {
    /// Compared with the times in annotations.
    pub wall: Timestamp,
    /// Tells how long something has lasted.
    pub steady: SteadyTime,
}

impl Now {
    /// Both clocks agree.
    pub fn at(time: Timestamp) -> Self {
        Self { wall: time, steady: SteadyTime(time) }
    }

    /// Times as they are recorded in an annotation, to the millisecond.
    pub fn to_wall(&self, times: &BTreeMap<String, SteadyTime>) -> BTreeMap<String, Timestamp> {
        let by = self.steady.0.duration_until(self.wall);
        times.iter().map(|(name, at)| (name.clone(), shifted(at.0, by))).collect()
    }

    /// Times as they were recorded in an annotation, by the steady clock of this process.
    pub fn to_steady(&self, times: &BTreeMap<String, Timestamp>) -> BTreeMap<String, SteadyTime> {
        let by = self.wall.duration_until(self.steady.0);
        times.iter().map(|(name, at)| (name.clone(), SteadyTime(shifted(*at, by)))).collect()
    }
}

fn shifted(time: Timestamp, by: SignedDuration) -> Timestamp {
    to_the_millisecond(time.saturating_add(by).unwrap_or(time))
}

/// Drops what is finer than a second.
pub(crate) fn to_the_second(now: Timestamp) -> Timestamp {
    Timestamp::from_second(now.as_second()).unwrap_or(now)
}

/// Drops what is finer than a millisecond.
pub(crate) fn to_the_millisecond(now: Timestamp) -> Timestamp {
    Timestamp::from_millisecond(now.as_millisecond()).unwrap_or(now)
}
