//! Whether the leader takes announcements of this replica, and when that is logged.

use crate::telemetry::report_once::ReportOnce;
use std::time::Duration;

/// Why the leader does not take announcements of this replica.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
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

/// What is logged of the checks: a result that two in a row have, since it takes a moment until the
/// address of a new leader is known.
#[derive(Debug, Default)]
pub(super) struct ReachabilityLog {
    last: Option<LeaderUnreachable>,
    reported: ReportOnce<LeaderUnreachable>,
}

impl ReachabilityLog {
    /// Whether the result of a check has to be logged now.
    pub(super) fn observe(&mut self, result: Option<&LeaderUnreachable>) -> bool {
        let lasts = self.last.as_ref() == result;
        self.last = result.cloned();
        lasts && self.reported.changes(result.cloned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_result_is_logged_once_when_it_lasts() {
        let mut log = ReachabilityLog::default();
        let unreachable = Some(&LeaderUnreachable::NotKnown);
        assert!(!log.observe(None), "nothing was wrong before");
        assert!(!log.observe(unreachable) && log.observe(unreachable) && !log.observe(unreachable));
        assert!(!log.observe(None), "not yet");
        assert!(!log.observe(unreachable), "it was logged, and its end was not");
        assert!(!log.observe(None) && log.observe(None) && !log.observe(None));
    }
}
