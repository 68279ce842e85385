//! How long to wait before the next attempt.

use std::time::Duration;

/// Waits that double from the first to the longest.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Backoff {
    first: Duration,
    longest: Duration,
}

impl Backoff {
    pub(crate) const fn new(first: Duration, longest: Duration) -> Self {
        Self { first, longest }
    }

    /// The wait after so many failures in a row.
    pub(crate) fn after(self, failures: u32) -> Duration {
        let doublings = failures.saturating_sub(1).min(20);
        self.first.saturating_mul(1 << doublings).min(self.longest)
    }

    /// The same, [with jitter](with_jitter).
    pub(crate) fn jittered(self, failures: u32) -> Duration {
        with_jitter(self.after(failures), fastrand::f64())
    }
}

/// Between half of a wait and all of it, by a random number from 0 to 1: what fails together does not
/// come back together.
pub(crate) fn with_jitter(wait: Duration, random: f64) -> Duration {
    wait.mul_f64(0.5 + random / 2.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const BACKOFF: Backoff = Backoff::new(Duration::from_millis(50), Duration::from_secs(5));

    #[test]
    fn waits_double_up_to_the_longest() {
        let waits: Vec<_> = [0, 1, 2, 3, 8, u32::MAX].map(|n| BACKOFF.after(n).as_millis()).into();
        assert_eq!(waits, [50, 50, 100, 200, 5_000, 5_000]);
    }

    #[test]
    fn jitter_takes_away_half_at_most() {
        for failures in 0..100 {
            let (whole, wait) = (BACKOFF.after(failures), BACKOFF.jittered(failures));
            assert!(wait >= whole / 2 && wait <= whole, "{wait:?} of {whole:?}");
        }
    }
}
