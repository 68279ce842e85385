//! What has been logged already, by subject.

use crate::telemetry::report_once::ReportOnce;
use std::collections::BTreeMap;

/// What was reported last of each subject: a state is logged when it begins and not for as long as it
/// lasts.
#[derive(Debug, Default)]
pub(super) struct LogOnce {
    last: BTreeMap<&'static str, ReportOnce<String>>,
}

impl LogOnce {
    /// Whether this is news.
    pub(super) fn is_news(&mut self, subject: &'static str, state: &str) -> bool {
        self.last.entry(subject).or_default().begins(state.to_owned())
    }

    /// The state has ended. Whether one had been reported.
    pub(super) fn is_over(&mut self, subject: &'static str) -> bool {
        self.last.get_mut(subject).is_some_and(ReportOnce::ends)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_is_news_when_it_begins_and_when_it_changes() {
        let mut log = LogOnce::default();
        assert!(log.is_news("secret", "is gone"));
        assert!(!log.is_news("secret", "is gone"));
        assert!(log.is_news("secret", "is forbidden") && log.is_news("files", "is gone"));
        assert!(log.is_over("secret") && !log.is_over("secret"));
        assert!(log.is_news("secret", "is forbidden"));
    }
}
