//! Whether the leader takes announcements of this replica, and when that is logged.

use std::time::{Duration, Instant};

/// Why the leader does not take announcements of this replica.
#[derive(Debug, thiserror::Error)]
pub(super) enum LeaderUnreachable {
    #[error(
        "its address (annotation failover.linkerd.io/judge of the Lease, which a leader without the deletion guard does not write) or the caBundle of our ValidatingWebhookConfiguration is not known"
    )]
    NotKnown,
    /// There is no client for its address.
    #[error("{0}")]
    NoClient(String),
    #[error("{0}")]
    Request(String),
    #[error("no answer within {} s", .0.as_secs())]
    NoAnswer(Duration),
}

/// How long the leader is unreachable before that is logged: longer than a new one takes over from one that
/// has died, and writes its address.
const LASTS: Duration = Duration::from_secs(30);

/// What is logged of the checks.
#[derive(Debug, Default)]
pub(super) struct ReachabilityLog {
    unreachable_since: Option<Instant>,
    is_reported: bool,
}

impl ReachabilityLog {
    /// Whether the result of a check at `now` has to be logged: that the leader is unreachable once it lasts,
    /// and then that it is reached.
    pub(super) fn observe(&mut self, is_reached: bool, now: Instant) -> bool {
        if is_reached {
            self.unreachable_since = None;
            return std::mem::take(&mut self.is_reported);
        }
        let since = *self.unreachable_since.get_or_insert(now);
        let lasts = now.saturating_duration_since(since) >= LASTS;
        lasts && !std::mem::replace(&mut self.is_reported, true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unreachable_leader_is_logged_once_it_lasts_and_its_end_once() {
        let (mut log, began) = (ReachabilityLog::default(), Instant::now());
        let mut at =
            |seconds, is_reached| log.observe(is_reached, began + Duration::from_secs(seconds));
        assert!(!at(0, true), "nothing was wrong before");
        assert!(!at(1, false) && !at(30, false), "a new leader takes its time");
        assert!(!at(31, true) && !at(32, false) && !at(61, false), "it was reached meanwhile");
        assert!(at(62, false) && !at(63, false) && !at(200, false));
        assert!(at(201, true) && !at(202, true));
        assert!(!at(203, false));
    }
}
