//! How long to wait before the next attempt.

use std::time::Duration;

/// How long to wait after a number of failures in a row.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Backoff(Schedule);

#[derive(Clone, Copy, Debug)]
enum Schedule {
    Doubling { first: Duration, longest: Duration },
    Steps(&'static [Duration]),
}

impl Backoff {
    /// Delays that double from the first to the longest.
    pub(crate) const fn new(first: Duration, longest: Duration) -> Self {
        Self(Schedule::Doubling { first, longest })
    }

    /// The given delays in order, then the last of them again and again.
    pub(crate) const fn steps(delays: &'static [Duration]) -> Self {
        Self(Schedule::Steps(delays))
    }

    /// The delay after so many failures in a row.
    pub(crate) fn after(self, failures: u32) -> Duration {
        let before = failures.saturating_sub(1);
        match self.0 {
            Schedule::Doubling { first, longest } => {
                first.saturating_mul(1 << before.min(20)).min(longest)
            }
            Schedule::Steps(delays) => {
                let step = delays.get(before as usize).or(delays.last());
                step.copied().unwrap_or_default()
            }
        }
    }

    /// The same, [with jitter](with_jitter).
    pub(crate) fn jittered(self, failures: u32) -> Duration {
        with_jitter(self.after(failures), fastrand::f64())
    }
}

/// Between half of a delay and all of it, by a random number from 0 to 1: what fails together does not
/// retry together.
pub(crate) fn with_jitter(delay: Duration, random: f64) -> Duration {
    delay.mul_f64(0.5 + random / 2.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const BACKOFF: Backoff = Backoff::new(Duration::from_millis(50), Duration::from_secs(5));

    #[test]
    fn the_delay_doubles_up_to_the_longest() {
        let delays: Vec<_> = [0, 1, 2, 3, 8, u32::MAX].map(|n| BACKOFF.after(n).as_millis()).into();
        assert_eq!(delays, [50, 50, 100, 200, 5_000, 5_000]);
    }

    #[test]
    fn steps_are_used_in_order_and_then_the_last_again() {
        const STEPS: Backoff = Backoff::steps(&[Duration::ZERO, Duration::from_millis(250)]);
        let delays: Vec<_> = [0, 1, 2, 3, u32::MAX].map(|n| STEPS.after(n).as_millis()).into();
        assert_eq!(delays, [0, 0, 250, 250, 250]);
    }

    #[test]
    fn jitter_is_half_of_the_delay_at_most() {
        for failures in 0..100 {
            let (full, delay) = (BACKOFF.after(failures), BACKOFF.jittered(failures));
            assert!(delay >= full / 2 && delay <= full, "{delay:?} of {full:?}");
        }
    }
}
