//! What is reported of requests and alerts that are refused: a log line each time that something new is, and
//! an Event. Anybody may call again and again.

use crate::events::{EventAction, EventReason, NewEvent, Recorder, Regarding};
use crate::kinds::ObjectKey;
use crate::kinds::one_line::{one_line, shortened};
use k8s_openapi::api::core::v1::Service;
use kube::core::ApiResource;
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How often the same refusal is reported.
const REPORT_EVERY: Duration = Duration::from_secs(60);
/// Refusals that are told apart.
const MOST: usize = 256;
/// Those of them that one sender can cause: each makes an Event, of a Service that the sender names.
const MOST_OF_SENDER: usize = 16;
/// Bytes of a report: texts of the sender are in it.
const LONGEST: usize = 1_000;

/// What was refused.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Refused {
    /// A request whose sender is not known.
    Unauthenticated,
    /// A request whose token could not be reviewed.
    NotReviewed,
    /// A request that cannot be read, or an alert that names no Service.
    Unreadable,
    /// A request for which there was no place or no time.
    Shed,
    /// Alerts that Alertmanager left out.
    Truncated,
    /// An alert that was not written, or whose sender's right was not reviewed.
    Failed,
    /// An alert about a Service that is not there, or is not managed here.
    NoService { sender: String, service: ObjectKey },
    /// An alert whose sender may not patch its Service.
    Forbidden { sender: String, service: ObjectKey, is_managed: bool },
}

impl Refused {
    fn sender(&self) -> Option<&str> {
        match self {
            Self::NoService { sender, .. } | Self::Forbidden { sender, .. } => Some(sender),
            _ => None,
        }
    }
}

/// Reports refusals.
pub(super) struct Refusals {
    recorder: Recorder,
    /// Events that are about no Service are about our Deployment.
    deployment: ObjectKey,
    reported: Mutex<Reported>,
}

#[derive(Debug, Default)]
struct Reported(HashMap<Refused, Instant>);

impl Reported {
    /// Whether a refusal has to be reported now.
    fn is_due(&mut self, refused: &Refused, now: Instant) -> bool {
        self.0.retain(|_, at| now.saturating_duration_since(*at) < REPORT_EVERY);
        let all_of_sender = refused.sender().is_some_and(|sender| {
            self.0.keys().filter(|other| other.sender() == Some(sender)).count() >= MOST_OF_SENDER
        });
        if all_of_sender || self.0.contains_key(refused) || self.0.len() >= MOST {
            return false;
        }
        self.0.insert(refused.clone(), now);
        true
    }
}

impl Refusals {
    pub(super) fn new(recorder: Recorder, deployment: ObjectKey) -> Self {
        Self { recorder, deployment, reported: Mutex::default() }
    }

    /// Reports a refusal, unless the same was reported a moment ago.
    pub(super) fn report(&self, refused: &Refused, note: &str) {
        let mut reported = self.reported.lock().unwrap_or_else(PoisonError::into_inner);
        if !reported.is_due(refused, Instant::now()) {
            return;
        }
        let note = in_one_line(note);
        tracing::warn!("{note}");
        let regarding = match refused {
            // Where Events are ours to write.
            Refused::Forbidden { service, is_managed: true, .. } => {
                Regarding::named(service.clone(), ApiResource::erase::<Service>(&()))
            }
            _ => Regarding::deployment(self.deployment.clone()),
        };
        let (reason, action) = (EventReason::AlertRefused, EventAction::Receive);
        self.recorder.publish(NewEvent::warning(regarding, reason, action, note));
    }
}

/// A report without line breaks: nobody writes further lines of our log.
fn in_one_line(note: &str) -> String {
    shortened(&one_line(note), LONGEST)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn forbidden(sender: &str, n: usize) -> Refused {
        let service = ObjectKey::new("ns", format!("svc-{n}"));
        Refused::Forbidden { sender: sender.into(), service, is_managed: true }
    }

    #[test]
    fn the_same_refusal_is_reported_once_a_minute_and_callers_cannot_fill_the_memory() {
        let (mut reported, start) = (Reported::default(), Instant::now());
        assert!(reported.is_due(&Refused::Unauthenticated, start));
        assert!(!reported.is_due(&Refused::Unauthenticated, start + REPORT_EVERY / 2));
        assert!(reported.is_due(&Refused::Unauthenticated, start + REPORT_EVERY));
        let now = start + REPORT_EVERY;
        let mut due = |n: usize, now| reported.is_due(&forbidden(&format!("sender-{n}"), n), now);
        assert_eq!((0..2 * MOST).filter(|n| due(*n, now)).count(), MOST - 1);
        assert!(due(MOST, now + REPORT_EVERY));
        assert_eq!(reported.0.len(), 1);
    }

    #[test]
    fn a_sender_that_names_many_services_hides_nothing_of_another() {
        let (mut reported, now) = (Reported::default(), Instant::now());
        let due = (0..1_000).filter(|n| reported.is_due(&forbidden("many", *n), now)).count();
        assert_eq!(due, MOST_OF_SENDER);
        assert!(reported.is_due(&forbidden("other", 0), now));
        assert!(reported.is_due(&Refused::Failed, now));
    }

    #[test]
    fn a_sender_writes_no_lines_of_its_own_into_the_log() {
        assert_eq!(in_one_line("a\n2026 ERROR\r\u{1b}[31mb"), "a 2026 ERROR  [31mb");
        let long = in_one_line(&"é".repeat(4_000));
        assert!(long.len() <= LONGEST + '…'.len_utf8() && long.ends_with('…'));
    }
}
