//! The queue of notifications, as a state machine with the time as an argument: in order for each object,
//! with one backoff for the receiver. It is bounded by the places of what is handed over.

use crate::clock::backoff::{Backoff, with_jitter};
use crate::notifications::capacity::Place;
use crate::notifications::notification::Notification;
use crate::notifications::notifier::HandedOver;
use crate::telemetry::NotificationResult;
use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Requests at once, while the receiver takes them.
const AT_ONCE: usize = 4;
/// After that a notification is no news any more.
pub(super) const EXPIRES: Duration = Duration::from_secs(6 * 3600);

const RETRY: Backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(60));

/// A notification that waits for its delivery, or is being sent.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Queued {
    /// Distinguishes it from every other one.
    pub number: u64,
    pub id: String,
    pub notification: Notification,
    pub since: Instant,
}

/// How an attempt ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    Delivered,
    /// The receiver does not take this one, and would not later.
    Refused(String),
    /// It is tried again.
    Failed {
        why: String,
        /// When the receiver wants the next attempt.
        retry_after: Option<Duration>,
    },
}

impl Outcome {
    /// What became of the notification, or of the attempt.
    pub(super) fn result(&self) -> NotificationResult {
        match self {
            Self::Delivered => NotificationResult::Delivered,
            Self::Refused(_) => NotificationResult::Refused,
            Self::Failed { .. } => NotificationResult::Retried,
        }
    }
}

/// A receiver that does not take what it is sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Failing {
    pub since: Instant,
    /// How the last attempt failed.
    pub why: String,
}

/// What to do now.
#[derive(Debug, PartialEq)]
pub(super) enum Next {
    Send(Box<Queued>),
    /// Nothing before this has passed, unless an attempt ends.
    Wait(Duration),
    /// Nothing, until something is queued or an attempt ends.
    Idle,
}

#[derive(Debug)]
struct Entry {
    queued: Queued,
    is_sent: bool,
    _place: Place,
}

/// Notifications in the order in which they came.
#[derive(Debug, Default)]
pub(super) struct DeliveryQueue {
    entries: VecDeque<Entry>,
    numbers: u64,
    /// How many are being sent.
    under_way: usize,
    /// Attempts in a row that failed.
    failures: u32,
    /// When the next attempt may begin.
    not_before: Option<Instant>,
    failing: Option<Failing>,
    /// How the last one was refused, until another is delivered.
    refused: Option<String>,
}

impl DeliveryQueue {
    /// Queues a notification.
    pub(super) fn push(&mut self, handed_over: HandedOver, now: Instant) {
        let HandedOver { notification, place } = handed_over;
        self.numbers += 1;
        let (number, id) = (self.numbers, notification.id());
        let queued = Queued { number, id, notification, since: now };
        self.entries.push_back(Entry { queued, is_sent: false, _place: place });
    }

    /// The next to send: the oldest of whose object none is being sent. While the receiver fails, one at a
    /// time.
    pub(super) fn next(&mut self, now: Instant) -> Next {
        let room = if self.failures == 0 { AT_ONCE } else { 1 };
        if self.under_way >= room || self.under_way == self.entries.len() {
            return Next::Idle;
        }
        let wait = self.not_before.map(|until| until.saturating_duration_since(now));
        if let Some(wait) = wait.filter(|wait| !wait.is_zero()) {
            return Next::Wait(wait);
        }
        let Some(at) = self.first_free() else { return Next::Idle };
        let entry = &mut self.entries[at];
        entry.is_sent = true;
        self.under_way += 1;
        Next::Send(Box::new(entry.queued.clone()))
    }

    /// The oldest that is not being sent and comes after no other of its object.
    fn first_free(&self) -> Option<usize> {
        let mut sent = vec![];
        for (at, entry) in self.entries.iter().enumerate() {
            let about = &entry.queued.notification.about;
            let of = (about.key(), about.kind());
            match entry.is_sent {
                true => sent.push(of),
                false if !sent.contains(&of) => return Some(at),
                false => {}
            }
        }
        None
    }

    /// Observes how an attempt ended. Returns the notification where it is no longer queued. `random` is
    /// between 0 and 1.
    pub(super) fn finish(
        &mut self,
        number: u64,
        outcome: &Outcome,
        now: Instant,
        random: f64,
    ) -> Option<Queued> {
        let at = self.entries.iter().position(|entry| entry.queued.number == number)?;
        self.under_way = self.under_way.saturating_sub(1);
        match outcome {
            Outcome::Delivered => self.refused = None,
            Outcome::Refused(why) => self.refused = Some(why.clone()),
            Outcome::Failed { why, retry_after } => {
                self.entries[at].is_sent = false;
                self.back_off(why, *retry_after, now, random);
                return None;
            }
        }
        self.forget_failures();
        self.entries.remove(at).map(|entry| entry.queued)
    }

    /// Attempts that were under way together and fail together count once.
    fn back_off(&mut self, why: &str, retry_after: Option<Duration>, now: Instant, random: f64) {
        let since = self.failing.as_ref().map_or(now, |failing| failing.since);
        self.failing = Some(Failing { since, why: why.to_owned() });
        if self.not_before.is_none_or(|until| until <= now) {
            self.failures = self.failures.saturating_add(1);
        }
        let wait =
            with_jitter(RETRY.after(self.failures), random).max(retry_after.unwrap_or_default());
        self.not_before = self.not_before.max(Some(now + wait));
    }

    fn forget_failures(&mut self) {
        (self.failures, self.not_before, self.failing) = (0, None, None);
    }

    /// Removes what has waited for too long.
    pub(super) fn expire(&mut self, now: Instant) -> Vec<Queued> {
        let is_old = |entry: &Entry| now.saturating_duration_since(entry.queued.since) >= EXPIRES;
        // The first is the oldest.
        match self.entries.front().is_some_and(is_old) {
            true => self.remove(is_old),
            false => vec![],
        }
    }

    /// Removes everything that is not being sent, and forgets the receiver: another replica sends.
    pub(super) fn stand_by(&mut self) -> Vec<Queued> {
        self.forget_failures();
        self.refused = None;
        match self.entries.len() == self.under_way {
            true => vec![],
            false => self.remove(|_| true),
        }
    }

    /// Takes everything: nothing is sent any more.
    pub(super) fn take_all(self) -> Vec<Queued> {
        self.entries.into_iter().map(|entry| entry.queued).collect()
    }

    fn remove(&mut self, which: impl Fn(&Entry) -> bool) -> Vec<Queued> {
        let all = std::mem::take(&mut self.entries);
        let (removed, kept) = all.into_iter().partition(|entry| !entry.is_sent && which(entry));
        self.entries = kept;
        let removed: VecDeque<Entry> = removed;
        removed.into_iter().map(|entry| entry.queued).collect()
    }

    /// How many are queued, those that are being sent included.
    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    /// Since when the oldest is queued.
    pub(super) fn oldest(&self) -> Option<Instant> {
        self.entries.front().map(|entry| entry.queued.since)
    }

    /// Whether anything waits for a receiver that does not take it.
    pub(super) fn is_failing(&self) -> bool {
        self.failing.is_some() && !self.entries.is_empty()
    }

    /// How attempts fail, while none succeeds.
    pub(super) fn failing(&self) -> Option<&Failing> {
        self.failing.as_ref()
    }

    /// How the last one was refused, until another is delivered.
    pub(super) fn refused(&self) -> Option<&str> {
        self.refused.as_deref()
    }
}

#[cfg(test)]
#[path = "queue_tests.rs"]
mod tests;
