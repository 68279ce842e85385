//! When a request to a linked cluster is retried.

use crate::clock::backoff::{Backoff, with_jitter};
use std::time::Duration;

/// The first retry comes at once: a watch may end for any reason.
const RETRY: Backoff = Backoff::steps(&[
    Duration::ZERO,
    Duration::from_millis(250),
    Duration::from_millis(500),
    Duration::from_secs(1),
    Duration::from_secs(2),
    Duration::from_secs(4),
    Duration::from_secs(8),
]);

/// The shortest wait, however little time is left.
const SOONEST: Duration = Duration::from_millis(250);

/// How long to wait after a failure that follows so many others: the longer the more there were, but shorter
/// before time alone changes the reach of the cluster. A cluster never counts as lost or down without a
/// request just before.
pub(crate) fn pause(before: u32, left: Option<Duration>, jitter: f64) -> Duration {
    let pause = with_jitter(RETRY.after(before.saturating_add(1)), jitter);
    left.map_or(pause, |left| pause.min((left / 2).max(SOONEST)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_retried_before_time_makes_a_cluster_lost_or_down() {
        let ms = Duration::from_millis;
        assert_eq!(pause(0, None, 0.0), Duration::ZERO);
        assert_eq!(pause(1, Some(ms(60_000)), 1.0), ms(250));
        assert_eq!(pause(99, None, 1.0), ms(8_000));
        assert_eq!(pause(99, Some(ms(60_000)), 0.0), ms(4_000));
        for left in [ms(0), ms(1), ms(250), ms(1_000), ms(3_000), ms(60_000)] {
            for failures in 0..10 {
                let pause = pause(failures, Some(left), 1.0);
                assert!(pause <= (left / 2).max(SOONEST), "{failures} {left:?}: {pause:?}");
            }
        }
    }
}
