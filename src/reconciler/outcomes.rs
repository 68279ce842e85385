//! How writes begin and end, and what is remembered and told of it.

use crate::events::NewEvent;
use crate::index::managed_object::ManagedObject;
use crate::index::order::{Arrival, Ticket};
use crate::kinds::ObjectRef;
use crate::reconciler::attempts::{Attempt, FailedWrite, FailureStreak, WriteFailure};
use crate::reconciler::lanes::{Lane, Lanes, patience};
use crate::reconciler::overwrites::OverwriteTracker;
use crate::reconciler::plan::{Plan, Write, WriteKind};
use crate::reconciler::queue::{FinishedWrite, InFlightWrite, Queue};
use crate::reconciler::reconcile::Controller;
use crate::reconciler::reports;
use crate::reconciler::writer::{self, GiveUp, WriteOutcome};
use kube::ResourceExt;
use kube::core::DynamicObject;
use std::time::{Duration, Instant};

const FIRST_RETRY: Duration = Duration::from_millis(50);
const LAST_RETRY: Duration = Duration::from_secs(5);

impl Controller {
    /// Begins a write, unless it is under way already; where its lane is full it waits for a place.
    pub(crate) fn start(
        &self,
        queue: &mut Queue,
        write: Write,
        plan: Plan,
        ticket: Ticket,
        noticed: Instant,
    ) {
        let object = &write.object;
        if queue.in_flight.contains_key(object) {
            // Another one is begun once this one has ended.
            if queue.is_writing(&write) {
                queue.keep(object);
            }
            return;
        }
        let failed = queue.memories.get(object).and_then(|memory| memory.failed.as_ref());
        let streak = failed.map(|failed| failed.streak);
        let lane = streak.map_or(Lane::Fast, |streak| streak.lane());
        if !queue.lanes.has_room(lane) {
            queue.lanes.wait(object, lane, noticed);
            return;
        }
        if let Some(brake) = &mut queue.brake
            && write.leaves_primary()
        {
            brake.goes(object);
        }
        queue.lanes.begin(object, lane, Instant::now());
        let (in_flight, given_up) = InFlightWrite::new(&write, noticed);
        queue.in_flight.insert(object.clone(), in_flight);
        let client = self.writes.of(lane).clone();
        let patience = patience(streak.map_or(0, |streak| streak.unanswered));
        let look = streak.is_some_and(|streak| streak.looks());
        let as_standby = !self.leads();
        queue.writes.spawn(async move {
            let writing = writer::write(&client, &write, patience, look);
            let outcome = match writer::unless_given_up(writing, given_up).await {
                Ok(outcome) => outcome,
                Err(GiveUp::Replaced) => WriteOutcome::Replaced,
                Err(GiveUp::Crowded) => WriteOutcome::Unanswered(writer::CROWDED.into()),
            };
            FinishedWrite { write, ticket, active: plan.active, as_standby, outcome }
        });
    }

    pub(crate) fn finish(&self, queue: &mut Queue, done: FinishedWrite) {
        let FinishedWrite { write, ticket, active, as_standby, outcome } = done;
        let object = write.object.clone();
        let answered = !matches!(outcome, WriteOutcome::Unanswered(_) | WriteOutcome::Replaced);
        let noticed = queue.end(&object, answered).unwrap_or_else(Instant::now);
        self.count_in_flight(queue);
        let again = queue.again.remove(&object);
        let written = matches!(outcome, WriteOutcome::Written(_));
        let replaced = matches!(outcome, WriteOutcome::Replaced);
        let attempt = Attempt { write, active, as_standby, noticed };
        match outcome {
            WriteOutcome::Written(written) => {
                self.landed(queue, attempt);
                // The watch will say the same later; until then the next decision must not be
                // made from the old weights.
                self.enter(&object, &written, &ticket);
            }
            WriteOutcome::Conflict(seen) => {
                self.metrics.write_failed("conflict");
                let why = "409 Conflict, again and again: others write it all the time, or this replica's watch is behind; see who with kubectl get -o yaml --show-managed-fields";
                self.failed(queue, attempt, WriteFailure::Conflict, why);
                self.look_anew(&object, seen, &ticket);
            }
            WriteOutcome::Gone(seen) => {
                self.metrics.write_failed("gone");
                if seen.is_none() {
                    queue.waits.settle(&object);
                }
                let why = "404 Not Found, though the watch has not said that it is gone: does something else answer for the API server?";
                self.failed(queue, attempt, WriteFailure::Gone, why);
                self.look_anew(&object, seen, &ticket);
            }
            WriteOutcome::Refused(error) => {
                self.metrics.write_failed("failed");
                self.failed(queue, attempt, WriteFailure::Refused, &error);
            }
            WriteOutcome::Unanswered(error) => {
                self.metrics.write_failed("failed");
                self.failed(queue, attempt, WriteFailure::Unanswered, &error);
            }
            WriteOutcome::Replaced => {
                self.metrics.write_failed("replaced");
                self.may_have_landed(queue, attempt);
            }
        }
        if written && queue.waits.concern(&object) {
            // What is left of it to be moved, in a write of its own, is waited for too.
            queue.notice_first(object);
        } else if again || replaced {
            queue.notice(object, Instant::now());
        }
    }

    /// An object is gone: so is what was remembered of it.
    pub(crate) fn forget(&self, queue: &mut Queue, object: &ObjectRef) {
        let memory = queue.memories.remove(object);
        if memory.is_some_and(|memory| memory.unreadable || memory.not_in_use.is_some()) {
            self.metrics.unreadable.set(queue.memories.unreadable() as i64);
            self.metrics.not_in_use.set(queue.memories.not_in_use() as i64);
        }
    }

    /// A write without an answer may have landed: then the watch says so. While another try of it is
    /// under way, that one tells.
    pub(crate) fn mention_landed(
        &self,
        queue: &mut Queue,
        object: &ObjectRef,
        managed: &ManagedObject,
    ) {
        if queue.in_flight.contains_key(object) {
            return;
        }
        let memory = queue.memories.get_mut(object);
        let Some(slot) = memory.map(|memory| &mut memory.may_have_landed) else { return };
        let landed = slot.as_ref().and_then(|attempt| attempt.has_landed(managed, &self.me));
        let Some(landed) = landed else { return };
        if let Some(attempt) = slot.take().filter(|_| landed) {
            self.landed(queue, *attempt);
        }
    }

    fn landed(&self, queue: &mut Queue, attempt: Attempt) {
        let Attempt { write, active, as_standby, noticed } = attempt;
        let object = &write.object;
        let now = Instant::now();
        let memory = queue.memories.entry(object);
        memory.is_content();
        memory.may_have_landed = None;
        if write.may_be_undone() {
            memory.undone =
                Some(OverwriteTracker::wrote(memory.undone.as_ref(), &write.weights, now));
        }
        if as_standby {
            memory.rescued = Some(active);
            self.metrics.rescues.inc();
            tracing::warn!(%object, "moved as a standby: the leader had not");
        }
        self.written(&write, noticed.elapsed());
        if matches!(write.kind, WriteKind::Flip(_)) {
            queue.waits.flipped(object, self.by_adaptor(object));
        }
    }

    /// Takes in an object that was looked at anew; one that is not managed any more is for the watch
    /// to tell.
    fn look_anew(&self, object: &ObjectRef, seen: Option<Box<DynamicObject>>, ticket: &Ticket) {
        if let Some(seen) = seen.filter(|seen| self.selector.matches(seen.labels())) {
            self.enter(object, &seen, ticket);
        }
    }

    fn enter(&self, object: &ObjectRef, answered: &DynamicObject, ticket: &Ticket) {
        let managed = ManagedObject::read(object.kind, answered, &self.settings.defaults);
        let arrival = Arrival::Answered(ticket);
        self.shared.update(|index| index.enter_object(object.clone(), managed, arrival));
    }

    fn written(&self, write: &Write, took: Duration) {
        if let Some(note) = &write.edited {
            self.metrics.recorded("edit");
            tracing::info!(object = %write.object, "{note}");
            self.say(reports::edited(write, note));
        }
        match &write.kind {
            WriteKind::Flip(flip) => {
                self.metrics.wrote(took);
                self.metrics.flipped(flip.on_primary);
                if flip.ahead {
                    self.metrics.guard.flips.inc();
                }
                if flip.taken_back {
                    self.metrics.guard.taken_back.inc();
                }
                tracing::info!(object = %write.object, "{}", flip.note);
                self.say(reports::flipped(write, flip));
            }
            WriteKind::Correction => {
                self.metrics.wrote(took);
                tracing::info!(object = %write.object, "weights put right");
            }
            WriteKind::Record => {
                self.metrics.recorded("record");
                tracing::debug!(object = %write.object, "recorded");
            }
            WriteKind::Disclaim => {
                self.metrics.recorded("disclaim");
                tracing::debug!(object = %write.object, "claim on spec given up");
            }
        }
    }

    /// Takes note of a write that failed, and tells people where that is due.
    fn failed(&self, queue: &mut Queue, attempt: Attempt, failure: WriteFailure, why: &str) {
        let (write, now) = (&attempt.write, Instant::now());
        let object = &write.object;
        let memory = queue.memories.entry(object);
        let before = memory.failed.as_ref();
        let alike = before.is_some_and(|failed| failed.is_alike(write));
        let streak = FailureStreak::after(before.map(|failed| &failed.streak), alike, failure, now);
        let wait = backoff(streak.times);
        memory.failed = Some(FailedWrite::new(streak, write, now + wait));
        if streak.is_told(now) {
            tracing::warn!(%object, error = why, retry_in = ?wait, "a write failed");
            if !std::mem::replace(&mut memory.refusal_told, true) {
                self.say(reports::refused(write, why));
            }
        } else {
            tracing::debug!(%object, ?failure, retry_in = ?wait, "a write failed");
        }
        queue.alarms.set(object, wait);
        if matches!(failure, WriteFailure::Refused | WriteFailure::Unanswered) {
            self.may_have_landed(queue, attempt);
        }
    }

    /// A write that only records is no news when it lands.
    fn may_have_landed(&self, queue: &mut Queue, attempt: Attempt) {
        if attempt.write.moves() || attempt.write.edited.is_some() {
            let memory = queue.memories.entry(&attempt.write.object);
            memory.may_have_landed = Some(Box::new(attempt));
        }
    }

    pub(crate) fn say(&self, said: NewEvent) {
        self.say.publish(said);
    }

    pub(crate) fn count_in_flight(&self, queue: &Queue) {
        let count = |of: fn(&Lanes) -> usize| of(&queue.lanes) + of(&queue.profiles.lanes);
        self.metrics.in_flight.set(count(Lanes::out) as i64);
        self.metrics.slow.set(count(Lanes::slow) as i64);
        let fast = count(Lanes::fast);
        self.busy.send_if_modified(|busy| std::mem::replace(busy, fast) != fast);
    }
}

/// How long to wait after so many failures. Doubles from the first retry to the last, with jitter so
/// that a thousand objects that fail together do not come back together.
pub(crate) fn backoff(times: u32) -> Duration {
    let wait = FIRST_RETRY.saturating_mul(1 << times.saturating_sub(1).min(10)).min(LAST_RETRY);
    wait.mul_f64(0.5 + fastrand::f64() / 2.0)
}
