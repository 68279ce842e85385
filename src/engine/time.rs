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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_time_is_before_the_first_or_after_the_last() {
        let hour = SignedDuration::from_hours(1);
        assert_eq!(SteadyTime::at(0).saturating_add(hour), SteadyTime::at(3_600));
        assert_eq!(SteadyTime::at(0).saturating_add(-hour), SteadyTime::at(-3_600));
        assert_eq!(SteadyTime::MAX.saturating_add(hour), SteadyTime::MAX);
        assert_eq!(SteadyTime::MIN.saturating_add(-hour), SteadyTime::MIN);
        assert_eq!(SteadyTime::at(3_600).checked_sub(hour), Some(SteadyTime::at(0)));
        assert_eq!(SteadyTime::MIN.checked_sub(hour), None);
        let wall = Timestamp::from_second(9).unwrap();
        assert_eq!(SteadyTime::starting_at(wall), SteadyTime::at(9));
        assert_eq!(SteadyTime::at(9).as_timestamp(), wall);
    }

    #[test]
    fn what_is_finer_than_a_record_is_dropped() {
        let time = Timestamp::new(7, 123_456_789).unwrap();
        assert_eq!(to_the_second(time), Timestamp::new(7, 0).unwrap());
        let to_the_millisecond = Timestamp::new(7, 123_000_000).unwrap();
        assert_eq!(super::to_the_millisecond(time), to_the_millisecond);
        assert_eq!(SteadyTime(time).to_the_millisecond(), SteadyTime(to_the_millisecond));
    }

    #[test]
    fn a_record_is_as_long_ago_by_one_clock_as_by_the_other() {
        let second = |second| Timestamp::from_second(second).unwrap();
        let now = Now { wall: second(1_000), steady: SteadyTime::at(50) };
        let steady = BTreeMap::from([("a".to_owned(), SteadyTime::at(40))]);
        let wall = BTreeMap::from([("a".to_owned(), second(990))]);
        assert_eq!(now.to_wall(&steady), wall);
        assert_eq!(now.to_steady(&wall), steady);
        // Beyond what a clock can show, the time as it is recorded.
        let last = BTreeMap::from([("a".to_owned(), Timestamp::MIN)]);
        assert_eq!(now.to_steady(&last)["a"], SteadyTime::MIN);
    }
}
