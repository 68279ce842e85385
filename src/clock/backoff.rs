//! How long to wait before the next attempt.

use std::time::Duration;

/// How long to wait after a number of failures in a row.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Backoff(Waits);

#[derive(Clone, Copy, Debug)]
enum Waits {
    Doubling { first: Duration, longest: Duration },
    Steps(&'static [Duration]),
}

impl Backoff {
    /// Waits that double from the first to the longest.
    pub(crate) const fn new(first: Duration, longest: Duration) -> Self {
        Self(Waits::Doubling { first, longest })
    }

    /// The given waits in order, then the last of them again and again.
    pub(crate) const fn steps(waits: &'static [Duration]) -> Self {
        Self(Waits::Steps(waits))
    }

    /// The wait after so many failures in a row.
    pub(crate) fn after(self, failures: u32) -> Duration {
        let before = failures.saturating_sub(1);
        match self.0 {
            Waits::Doubling { first, longest } => {
                first.saturating_mul(1 << before.min(20)).min(longest)
            }
            Waits::Steps(waits) => {
                let step = waits.get(before as usize).or(waits.last());
                step.copied().unwrap_or_default()
            }
        }
    }

    /// The same, [with jitter](with_jitter).
    pub(crate) fn jittered(self, failures: u32) -> Duration {
        with_jitter(self.after(failures), fastrand::f64())
    }
}

/// Between half of a wait and all of it, by a random number from 0 to 1: what fails together does not
/// retry together.
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
    fn steps_are_used_in_order_and_then_the_last_again() {
        const STEPS: Backoff = Backoff::steps(&[Duration::ZERO, Duration::from_millis(250)]);
        let waits: Vec<_> = [0, 1, 2, 3, u32::MAX].map(|n| STEPS.after(n).as_millis()).into();
        assert_eq!(waits, [0, 0, 250, 250, 250]);
    }

    #[test]
    fn jitter_is_half_of_the_wait_at_most() {
        for failures in 0..100 {
            let (full, wait) = (BACKOFF.after(failures), BACKOFF.jittered(failures));
            assert!(wait >= full / 2 && wait <= full, "{wait:?} of {full:?}");
        }
    }
}
