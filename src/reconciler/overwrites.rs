//! Another writer that keeps overwriting our weights, and the backoff against it.

use std::time::{Duration, Instant};

/// A single edit by hand, while the webhook is away, is corrected at once.
const WAITS: [Duration; 6] = [
    Duration::ZERO,
    Duration::from_secs(1),
    Duration::from_secs(2),
    Duration::from_secs(4),
    Duration::from_secs(8),
    Duration::from_secs(16),
];

/// A writer that has overwritten nothing for this long is forgotten.
const FORGOTTEN: Duration = Duration::from_secs(120);

/// What was written to an object last, and how often that was undone.
#[derive(Clone, Debug)]
pub(crate) struct OverwriteTracker {
    weights: Vec<u32>,
    at: Instant,
    times: u32,
}

impl OverwriteTracker {
    /// Observes weights that have landed; `before` is what was known of the object.
    pub(crate) fn wrote(before: Option<&Self>, weights: &[u32], now: Instant) -> Self {
        let again = before.filter(|before| before.weights == weights && !before.is_past(now));
        Self { weights: weights.to_vec(), at: now, times: again.map_or(0, |b| b.times + 1) }
    }

    /// How often these weights have been overwritten, where they have to be written once more, and how long
    /// to wait before that.
    pub(crate) fn again(&self, weights: &[u32], now: Instant) -> Option<(u32, Duration)> {
        if self.weights != weights || self.is_past(now) {
            return None;
        }
        let wait = WAITS[(self.times as usize).min(WAITS.len() - 1)];
        Some((self.times + 1, (self.at + wait).saturating_duration_since(now)))
    }

    /// Whether there is nothing to be remembered any more.
    pub(crate) fn is_past(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.at) > FORGOTTEN
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_keeps_undoing_is_answered_ever_more_slowly_and_never_in_a_hot_loop() {
        let start = Instant::now();
        let (mut now, mut writes) = (start, vec![]);
        let mut known = OverwriteTracker::wrote(None, &[0, 1], now);
        while now < start + Duration::from_secs(60) {
            // Undone within a millisecond, every time.
            now += Duration::from_millis(1);
            let (_, wait) = known.again(&[0, 1], now).unwrap();
            now += wait;
            known = OverwriteTracker::wrote(Some(&known), &[0, 1], now);
            writes.push(now);
        }
        assert!(writes.len() <= 8, "{} writes in a minute", writes.len());
        assert!(writes[0] < start + Duration::from_millis(2), "the first is put right at once");
    }

    #[test]
    fn other_weights_and_a_long_quiet_time_start_over() {
        let now = Instant::now();
        let known = OverwriteTracker::wrote(None, &[0, 1], now);
        assert_eq!(known.again(&[1, 0], now), None);
        assert_eq!(known.again(&[0, 1], now + FORGOTTEN * 2), None);
        let again = OverwriteTracker::wrote(Some(&known), &[0, 1], now);
        assert_eq!(again.again(&[0, 1], now).unwrap().0, 2);
        let other = OverwriteTracker::wrote(Some(&again), &[1, 0], now);
        assert_eq!(other.again(&[1, 0], now).unwrap().0, 1);
    }
}
