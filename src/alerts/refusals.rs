//! What is reported of requests and alerts that are refused: a log line each time that something new is, and
//! an Event. Anybody may call again and again.

use crate::events::{EventAction, EventReason, NewEvent, Recorder, Regarding};
use crate::kinds::ObjectKey;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::Service;
use kube::core::ApiResource;
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How often the same refusal is reported.
const REPORT_EVERY: Duration = Duration::from_secs(60);
/// Refusals that are told apart.
const MOST: usize = 256;

/// What was refused.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Refused {
    /// A request whose sender is not known.
    Unauthenticated,
    /// A request whose token could not be reviewed.
    NotReviewed,
    /// A request that cannot be read, or an alert that names no Service.
    Unreadable,
    /// An alert about a Service that is not there, or is not managed here.
    NoService(ObjectKey),
    /// An alert whose sender may not patch its Service.
    Forbidden(ObjectKey),
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
        if self.0.contains_key(refused) || self.0.len() >= MOST {
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
        tracing::warn!("{note}");
        let regarding = match refused {
            Refused::Forbidden(service) => {
                Regarding::named(service.clone(), ApiResource::erase::<Service>(&()))
            }
            _ => Regarding::named(self.deployment.clone(), ApiResource::erase::<Deployment>(&())),
        };
        let (reason, action) = (EventReason::AlertRefused, EventAction::Receive);
        self.recorder.publish(NewEvent::warning(regarding, reason, action, note));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_refusal_is_reported_once_a_minute_and_callers_cannot_fill_the_memory() {
        let (mut reported, start) = (Reported::default(), Instant::now());
        let forbidden = |n: usize| Refused::Forbidden(ObjectKey::new("ns", format!("svc-{n}")));
        assert!(reported.is_due(&Refused::Unauthenticated, start));
        assert!(!reported.is_due(&Refused::Unauthenticated, start + REPORT_EVERY / 2));
        assert!(reported.is_due(&Refused::Unauthenticated, start + REPORT_EVERY));
        let now = start + REPORT_EVERY;
        let due = (0..2 * MOST).filter(|n| reported.is_due(&forbidden(*n), now)).count();
        assert_eq!((due, reported.0.len()), (MOST - 1, MOST));
        assert!(reported.is_due(&forbidden(MOST), now + REPORT_EVERY));
    }
}
