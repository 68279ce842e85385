//! The process's clock.

pub(crate) mod backoff;

use crate::engine::{Now, SteadyTime};
use jiff::{SignedDuration, Timestamp};
use std::time::Instant;

/// The wall clock, and a steady clock that starts with the wall clock's time and then does not follow its
/// changes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    began: SteadyTime,
    since: Instant,
}

impl Clock {
    pub(crate) fn start() -> Self {
        Self { began: SteadyTime::starting_at(Timestamp::now()), since: Instant::now() }
    }

    pub(crate) fn now(&self) -> Now {
        let passed = SignedDuration::try_from(self.since.elapsed()).unwrap_or(SignedDuration::MAX);
        let steady = self.began.saturating_add(passed);
        Now { wall: Timestamp::now(), steady }
    }
}
