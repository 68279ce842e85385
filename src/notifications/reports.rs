//! What is reported of the delivery, each once while it lasts.

use crate::notifications::queue::{DeliveryQueue, Failing};
use crate::telemetry::report_once::ReportOnce;
use jiff::SignedDuration;
use std::fmt;
use std::time::{Duration, Instant};

/// A receiver that fails for as long is reported.
const REPORTED_AFTER: Duration = Duration::from_secs(60);

/// What has been reported.
#[derive(Debug, Default)]
pub(super) struct Reports {
    failing: ReportOnce<()>,
    refusing: ReportOnce<()>,
    dropping: ReportOnce<()>,
    /// So many had been dropped.
    dropped: u64,
}

/// What the delivery looks like to a replica.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Facts<'a> {
    pub leads: bool,
    pub queued: usize,
    pub failing: Option<&'a Failing>,
    pub refused: Option<&'a str>,
    /// Dropped since the start.
    pub dropped: u64,
}

/// Something to report.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Report {
    Failing {
        lasts: SignedDuration,
        why: String,
        queued: usize,
    },
    /// It takes, or refuses, what it is sent.
    Answers,
    Refusing(String),
    Dropping {
        queued: usize,
    },
}

impl<'a> Facts<'a> {
    pub(super) fn new(queue: &'a DeliveryQueue, leads: bool, dropped: u64) -> Self {
        let (queued, failing, refused) = (queue.len(), queue.failing(), queue.refused());
        Self { leads, queued, failing, refused, dropped }
    }
}

impl Reports {
    /// Observes the delivery. Returns what is to be reported now.
    pub(super) fn observe(&mut self, facts: Facts<'_>, now: Instant) -> Vec<Report> {
        let reports = [
            self.observe_failing(facts, now),
            self.observe_refused(facts),
            self.observe_dropped(facts),
        ];
        reports.into_iter().flatten().collect()
    }

    fn observe_failing(&mut self, facts: Facts<'_>, now: Instant) -> Option<Report> {
        let Facts { queued, failing, .. } = facts;
        let Some(Failing { since, why }) = failing else {
            // Whoever leads now knows whether it answers.
            return (self.failing.ends() && facts.leads).then_some(Report::Answers);
        };
        let lasts = now.saturating_duration_since(*since);
        let begins = lasts >= REPORTED_AFTER && self.failing.begins(());
        begins.then(|| Report::Failing {
            lasts: SignedDuration::from_secs(lasts.as_secs().cast_signed()),
            why: why.clone(),
            queued,
        })
    }

    fn observe_refused(&mut self, facts: Facts<'_>) -> Option<Report> {
        let Some(why) = facts.refused else {
            self.refusing.ends();
            return None;
        };
        self.refusing.begins(()).then(|| Report::Refusing(why.to_owned()))
    }

    /// Reported once, and again only after the queue has been empty.
    fn observe_dropped(&mut self, Facts { queued, dropped, .. }: Facts<'_>) -> Option<Report> {
        if queued == 0 {
            self.dropping.ends();
        }
        let more = dropped > self.dropped;
        self.dropped = dropped;
        (more && self.dropping.begins(())).then_some(Report::Dropping { queued })
    }
}

impl Report {
    /// The sentence about this receiver.
    pub(super) fn note(&self, receiver: &impl fmt::Display) -> String {
        match self {
            Self::Failing { lasts, why, queued } => format!(
                "Notifications to {receiver} have not been delivered for {lasts:#}: {why}. They are sent again, ever less often; {queued} are queued"
            ),
            Self::Answers => format!("{receiver} answers again, and notifications are sent to it"),
            Self::Refusing(why) => format!(
                "{receiver} refuses notifications: {why}. They are not sent again; the log names each. Does it expect CloudEvents, signed as docs/notifications.md has it?"
            ),
            Self::Dropping { queued } => format!(
                "Notifications to {receiver} are dropped: {queued} are queued, and there is no room for more; the metric linkerd_failover_notifications_dropped_total counts them. Is the receiver too slow?"
            ),
        }
    }

    /// Whether a person has to look.
    pub(super) fn is_warning(&self) -> bool {
        *self != Self::Answers
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failing(since: Instant) -> Failing {
        Failing { since, why: "Connection refused".into() }
    }

    #[test]
    fn a_receiver_that_fails_for_a_minute_is_reported_once_and_that_it_answers_again() {
        let (mut reports, start) = (Reports::default(), Instant::now());
        let failing = failing(start);
        let facts = Facts { leads: true, queued: 3, failing: Some(&failing), ..Facts::default() };
        let mut after =
            |facts, seconds| reports.observe(facts, start + Duration::from_secs(seconds));
        assert_eq!(after(facts, 59), []);
        let reported = after(facts, 61);
        assert_eq!(
            reported[0].note(&"https://a.example"),
            "Notifications to https://a.example have not been delivered for 1m 1s: Connection refused. They are sent again, ever less often; 3 are queued"
        );
        assert!(reported[0].is_warning());
        assert_eq!(after(facts, 600), []);
        assert_eq!(after(Facts { failing: None, ..facts }, 601), [Report::Answers]);
        assert_eq!(after(Facts { failing: None, ..facts }, 602), []);
    }

    #[test]
    fn a_failure_that_is_over_soon_and_one_of_a_replica_that_leads_no_more_are_not_reported_as_ended()
     {
        let (mut reports, start) = (Reports::default(), Instant::now());
        let failing = failing(start);
        let facts = Facts { leads: true, failing: Some(&failing), ..Facts::default() };
        assert_eq!(reports.observe(facts, start), []);
        assert_eq!(reports.observe(Facts { failing: None, ..facts }, start), []);
        let later = start + REPORTED_AFTER;
        assert_eq!(reports.observe(facts, later).len(), 1);
        assert_eq!(reports.observe(Facts::default(), later), [], "nothing shows that it answers");
    }

    #[test]
    fn refusals_are_reported_once_until_something_is_delivered() {
        let (mut reports, now) = (Reports::default(), Instant::now());
        let facts = Facts { leads: true, refused: Some("it answers 400"), ..Facts::default() };
        let refusing = [Report::Refusing("it answers 400".into())];
        assert_eq!(reports.observe(facts, now), refusing);
        assert_eq!(reports.observe(facts, now), []);
        assert_eq!(reports.observe(Facts { refused: None, ..facts }, now), []);
        assert_eq!(reports.observe(facts, now), refusing);
    }

    #[test]
    fn what_is_dropped_is_reported_once_until_the_queue_has_been_empty() {
        let (mut reports, now) = (Reports::default(), Instant::now());
        let mut dropped = |queued, dropped| {
            reports.observe(Facts { leads: true, queued, dropped, ..Facts::default() }, now)
        };
        assert_eq!(dropped(4_096, 0), []);
        assert_eq!(dropped(4_096, 1), [Report::Dropping { queued: 4_096 }]);
        assert_eq!(dropped(4_096, 9), []);
        assert_eq!(dropped(0, 9), []);
        assert_eq!(dropped(4_096, 9), []);
        assert_eq!(dropped(4_096, 10), [Report::Dropping { queued: 4_096 }]);
    }
}
