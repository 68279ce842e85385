//! The time of a simulated cluster.

use crate::engine::Now;
use jiff::Timestamp;

/// One clock for all processes; it goes on only when a test lets it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    /// Milliseconds since the start of the epoch.
    pub millis: i64,
}

impl Clock {
    pub(crate) fn at_millis(millis: i64) -> Self {
        Self { millis }
    }

    pub(crate) fn at_second(second: i64) -> Self {
        Self::at_millis(second * 1_000)
    }

    pub(crate) fn pass(&mut self, millis: i64) {
        self.millis += millis;
    }

    pub(crate) fn now(&self) -> Now {
        Now::at(Timestamp::from_millisecond(self.millis).unwrap())
    }
}
