//! A report that is made at most once in a while, however often there is a reason for it.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// When a report was made last.
#[derive(Debug)]
pub(crate) struct AtMostEvery {
    interval: Duration,
    last: Mutex<Option<Instant>>,
}

impl AtMostEvery {
    pub(crate) fn new(interval: Duration) -> Self {
        Self { interval, last: Mutex::default() }
    }

    /// Whether the report is to be made at `now`; then it counts as made.
    pub(crate) fn is_due(&self, now: Instant) -> bool {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let is_due = last.is_none_or(|last| now.saturating_duration_since(last) >= self.interval);
        if is_due {
            *last = Some(now);
        }
        is_due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_is_made_once_in_each_interval() {
        let (report, now) = (AtMostEvery::new(Duration::from_secs(60)), Instant::now());
        let due = [0, 1, 59, 60, 61, 119, 120].map(|s| report.is_due(now + Duration::from_secs(s)));
        assert_eq!(due, [true, false, false, true, false, false, true]);
    }
}
