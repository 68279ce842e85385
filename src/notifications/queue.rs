//! The queue of notifications, as a state machine with the time as an argument: bounded, in order for each
//! object, with one backoff for the receiver.

use crate::clock::backoff::{Backoff, with_jitter};
use crate::notifications::notification::Notification;
use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// What is queued at most: about a kilobyte each.
pub(super) const BOUND: usize = 4096;
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

/// Nothing more is queued.
#[derive(Debug, PartialEq)]
pub(super) struct QueueFull;

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
}

/// Notifications in the order in which they came.
#[derive(Debug, Default)]
pub(super) struct DeliveryQueue {
    entries: VecDeque<Entry>,
    numbers: u64,
    /// Attempts in a row that failed.
    failures: u32,
    /// When the next attempt may begin.
    not_before: Option<Instant>,
    failing_since: Option<Instant>,
}

impl DeliveryQueue {
    /// Queues a notification; a full queue does not take it.
    pub(super) fn push(
        &mut self,
        notification: Notification,
        now: Instant,
    ) -> Result<(), QueueFull> {
        if self.entries.len() >= BOUND {
            return Err(QueueFull);
        }
        self.numbers += 1;
        let (number, id) = (self.numbers, notification.id());
        let queued = Queued { number, id, notification, since: now };
        self.entries.push_back(Entry { queued, is_sent: false });
        Ok(())
    }

    /// The next to send: the oldest of whose object none is being sent. While the receiver fails, one at a
    /// time.
    pub(super) fn next(&mut self, now: Instant) -> Next {
        let room = if self.failures == 0 { AT_ONCE } else { 1 };
        if self.entries.iter().filter(|entry| entry.is_sent).count() >= room {
            return Next::Idle;
        }
        let Some(at) = self.first_free() else { return Next::Idle };
        let wait = self.not_before.map(|until| until.saturating_duration_since(now));
        if let Some(wait) = wait.filter(|wait| !wait.is_zero()) {
            return Next::Wait(wait);
        }
        let entry = &mut self.entries[at];
        entry.is_sent = true;
        Next::Send(Box::new(entry.queued.clone()))
    }

    /// The oldest that is not being sent and comes after no other of its object.
    fn first_free(&self) -> Option<usize> {
        let about = |entry: &Entry| {
            let about = &entry.queued.notification.about;
            (about.key().clone(), about.kind().to_owned())
        };
        // Those before the first free one are being sent, and they are few.
        let mut sent = vec![];
        for (at, entry) in self.entries.iter().enumerate() {
            let of = about(entry);
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
        match outcome {
            Outcome::Delivered | Outcome::Refused(_) => {
                (self.failures, self.not_before, self.failing_since) = (0, None, None);
                self.entries.remove(at).map(|entry| entry.queued)
            }
            Outcome::Failed { retry_after, .. } => {
                self.entries[at].is_sent = false;
                self.back_off(*retry_after, now, random);
                None
            }
        }
    }

    /// Attempts that were under way together and fail together count once.
    fn back_off(&mut self, retry_after: Option<Duration>, now: Instant, random: f64) {
        self.failing_since.get_or_insert(now);
        if self.not_before.is_none_or(|until| until <= now) {
            self.failures = self.failures.saturating_add(1);
        }
        let wait =
            with_jitter(RETRY.after(self.failures), random).max(retry_after.unwrap_or_default());
        self.not_before = self.not_before.max(Some(now + wait));
    }

    /// Removes what has waited for too long.
    pub(super) fn expire(&mut self, now: Instant) -> Vec<Queued> {
        self.remove(|entry| now.saturating_duration_since(entry.queued.since) >= EXPIRES)
    }

    /// Removes everything that is not being sent.
    pub(super) fn clear(&mut self) -> Vec<Queued> {
        self.remove(|_| true)
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
        self.failing_since.is_some() && !self.entries.is_empty()
    }

    /// Since when no attempt has succeeded, while attempts fail.
    pub(super) fn failing_since(&self) -> Option<Instant> {
        self.failing_since
    }
}

#[cfg(test)]
#[path = "queue_tests.rs"]
mod tests;
