//! The process's clock.

use crate::engine::Now;
use jiff::{SignedDuration, Timestamp};
use std::time::Instant;

/// Tells the time twice: by the wall, and by a clock that started with the wall's time and then
/// goes on by itself, whatever is done to the wall's.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    began: Timestamp,
    since: Instant,
}

impl Clock {
    pub(crate) fn start() -> Self {
        Self { began: Timestamp::now(), since: Instant::now() }
    }

    pub(crate) fn now(&self) -> Now {
        let passed = SignedDuration::try_from(self.since.elapsed()).unwrap_or(SignedDuration::MAX);
        let steady = self.began.checked_add(passed).unwrap_or(Timestamp::MAX);
        Now { wall: Timestamp::now(), steady }
    }
}
