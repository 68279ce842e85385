//! When a server is saturated.

use std::time::Duration;

/// What a load of so many requests a second came to.
#[derive(Clone, Copy, Debug)]
pub struct Load {
    /// Requests a second that were due.
    pub offered: f64,
    /// Of these, answered.
    pub answered: f64,
    /// How many were turned away, or not answered in time.
    pub refused: u64,
    /// The 99th percentile of the answers, from the moment at which each request was due.
    pub p99: Duration,
}

/// The share of what is due that has to be answered.
const ANSWERED: f64 = 0.95;
/// Who waits as long for an answer may as well have none: API servers are often told to wait for a second.
const LATE: Duration = Duration::from_secs(1);

impl Load {
    /// Whether the server does not keep up: it refuses requests, answers fewer than are due, or late.
    pub fn is_saturated(&self) -> bool {
        self.refused > 0 || self.answered < ANSWERED * self.offered || self.p99 >= LATE
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEPT_UP: Load =
        Load { offered: 200.0, answered: 199.0, refused: 0, p99: Duration::from_millis(3) };

    #[test]
    fn a_server_that_answers_all_in_time_is_not_saturated() {
        assert!(!KEPT_UP.is_saturated());
    }

    #[test]
    fn one_that_refuses_is_late_or_falls_behind_is() {
        assert!(Load { refused: 1, ..KEPT_UP }.is_saturated());
        assert!(Load { p99: Duration::from_millis(1_200), ..KEPT_UP }.is_saturated());
        assert!(Load { answered: 150.0, ..KEPT_UP }.is_saturated());
    }
}
