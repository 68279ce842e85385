//! How writes of weights end, and what is remembered and reported of it.

use crate::index::managed_object::ManagedObject;
use crate::index::order::{Arrival, Ticket};
use crate::kinds::ObjectRef;
use crate::kinds::partial::PartialObject;
use crate::notifications::Transitions;
use crate::reconciler::attempts::{Attempt, FailedAttempt, WriteFailure, WriteKey};
use crate::reconciler::context::{Context, Subject};
use crate::reconciler::flip::Flip;
use crate::reconciler::memory::Readability;
use crate::reconciler::notify;
use crate::reconciler::ordered_queue::{Cause, Urgency};
use crate::reconciler::overwrites::OverwriteTracker;
use crate::reconciler::reports;
use crate::reconciler::state::Reconciler;
use crate::reconciler::write::{Write, WriteKind};
use crate::reconciler::writer::WriteOutcome;
use crate::reconciler::writes::FinishedWrite;
use crate::telemetry::WriteResult;
use kube::ResourceExt;
use std::time::{Duration, Instant};

const CONFLICT: &str = "409 Conflict, again and again: others write it all the time, or this replica's watch is behind; see who with kubectl get -o yaml --show-managed-fields";
const GONE: &str = "404 Not Found, though the watch has not said that it is gone: does something else answer for the API server?";

impl Reconciler {
    /// Observes how a write ended.
    pub(crate) fn finish(&mut self, done: FinishedWrite) {
        let FinishedWrite { times, attempt, ticket, outcome } = done;
        let object = attempt.write.object.clone();
        let dirty = self.writes.in_flight.end(&object, outcome.is_answered());
        self.count_in_flight();
        let written = matches!(outcome, WriteOutcome::Written(_));
        let replaced = matches!(outcome, WriteOutcome::Replaced);
        if written && attempt.write.flip().is_some() && !self.profiles.is_followed(&object) {
            times.observe(&self.context.metrics);
        }
        self.observe_outcome(attempt, &ticket, outcome);
        if written && self.deletions.concerns(&object) {
            // A second write that moves the rest of it is waited for too.
            self.enqueue(object, Cause::now(Urgency::Deletion));
        } else if let Some(cause) = dirty.or(replaced.then(|| Cause::now(Urgency::Loss))) {
            self.enqueue(object, cause);
        }
    }

    fn observe_outcome(&mut self, attempt: Attempt, ticket: &Ticket, outcome: WriteOutcome) {
        let object = attempt.write.object.clone();
        match outcome {
            WriteOutcome::Written(written) => {
                self.observe_landed(attempt);
                // The watch will deliver the same later; until then the next decision must not be made
                // from the old weights.
                enter(&self.context, &object, &written, ticket);
            }
            WriteOutcome::Conflict(seen) => {
                self.context.metrics.count_write(WriteResult::Conflict);
                self.observe_failure(attempt, WriteFailure::Conflict, CONFLICT);
                self.enter_if_managed(&object, seen, ticket);
            }
            WriteOutcome::Gone(seen) => {
                self.context.metrics.count_write(WriteResult::Gone);
                if seen.is_none() {
                    self.deletions.release(&object);
                }
                self.observe_failure(attempt, WriteFailure::Gone, GONE);
                self.enter_if_managed(&object, seen, ticket);
            }
            WriteOutcome::Refused(error) => {
                let failure = WriteFailure::of(&error);
                self.observe_throttling(failure.pause());
                self.context.metrics.count_write(failure.result());
                self.observe_failure(attempt, failure, &error.to_string());
            }
            WriteOutcome::Unanswered(error) => {
                self.context.metrics.count_write(WriteResult::Failed);
                self.observe_failure(attempt, WriteFailure::Unanswered, &error.to_string());
            }
            WriteOutcome::Replaced => {
                self.context.metrics.count_write(WriteResult::Replaced);
                self.remember_unanswered(attempt);
            }
        }
    }

    /// A write without an answer may have landed: then the watch shows it. While another attempt is under
    /// way, its answer decides.
    pub(crate) fn observe_late_landing(&mut self, subject: &Subject<'_>) {
        let object = subject.object;
        if self.writes.in_flight.contains(object) {
            return;
        }
        let Some(memory) = self.memories.get_mut(object) else { return };
        let attempt = memory.may_have_landed.as_ref();
        let landed =
            attempt.and_then(|attempt| attempt.has_landed(subject.managed, &self.context.me));
        let Some(landed) = landed else { return };
        if let Some(attempt) = memory.may_have_landed.take().filter(|_| landed) {
            self.observe_landed(*attempt);
        }
    }

    fn observe_landed(&mut self, attempt: Attempt) {
        let Attempt { write, active, as_standby, noticed } = attempt;
        let object = &write.object;
        let memory = self.memories.entry(object);
        memory.mark_up_to_date();
        memory.may_have_landed = None;
        if write.may_be_overwritten() {
            let before = memory.overwrites.as_ref();
            let overwrites = OverwriteTracker::wrote(before, &write.weights, Instant::now());
            memory.overwrites = Some(overwrites);
        }
        if as_standby {
            memory.observe_rescue(active);
            self.context.metrics.rescues.inc();
            tracing::warn!(%object, "moved as a standby: the leader had not");
        }
        report_landed(&self.context, &write, noticed.elapsed());
        let notifies = self.context.notifier.sends_any(Transitions::TYPES);
        if let Some(flip) = write.flip().filter(|_| notifies) {
            self.transitions.observe_move(object, notify::moves(flip), flip.made());
        }
        if write.flip().is_some() {
            let by_adaptor = object.kind.needs_service_profile() && !self.profiles.is_on();
            self.deletions.flipped(object, by_adaptor, Instant::now());
        }
    }

    /// Observes a write that failed, and reports it where that is due.
    fn observe_failure(&mut self, attempt: Attempt, failure: WriteFailure, why: &str) {
        let (write, now) = (&attempt.write, Instant::now());
        let object = &write.object;
        let memory = self.memories.entry(object);
        let before = memory.failed.as_ref();
        let (failed, wait) = FailedAttempt::after(before, WriteKey::from(&**write), failure, now);
        if failed.streak().is_reported(now) {
            tracing::warn!(%object, error = why, retry_in = ?wait, "a write failed");
            if memory.refusal.begins(()) {
                self.context.recorder.publish(reports::refused(write, why));
            }
        } else {
            tracing::debug!(%object, ?failure, retry_in = ?wait, "a write failed");
        }
        memory.failed = Some(failed);
        self.queue.enqueue_after(object, wait);
        if matches!(failure, WriteFailure::Refused | WriteFailure::Unanswered) {
            self.remember_unanswered(attempt);
        }
    }

    /// A write that only records need not be observed when it lands late.
    fn remember_unanswered(&mut self, attempt: Attempt) {
        if attempt.write.changes_weights() || attempt.write.edited.is_some() {
            let memory = self.memories.entry(&attempt.write.object);
            memory.may_have_landed = Some(Box::new(attempt));
        }
    }

    /// Enters an object that was read again; the watch delivers one that is no longer managed.
    fn enter_if_managed(
        &self,
        object: &ObjectRef,
        seen: Option<Box<PartialObject>>,
        ticket: &Ticket,
    ) {
        if let Some(seen) = seen.filter(|seen| self.context.selector.matches(seen.labels())) {
            enter(&self.context, object, &seen, ticket);
        }
    }

    /// An object is gone: so is what was remembered of it.
    pub(crate) fn forget(&mut self, object: &ObjectRef) {
        self.transitions.forget(object);
        let Some(memory) = self.memories.remove(object) else { return };
        if memory.readability != Readability::Readable || !memory.not_in_use.is_empty() {
            self.show_reported();
        }
    }
}

fn enter(context: &Context, object: &ObjectRef, answered: &PartialObject, ticket: &Ticket) {
    let managed = ManagedObject::read(object.kind, answered, &context.settings.defaults);
    let arrival = Arrival::Answered(ticket);
    context.shared.update(|index| index.enter_object(object.clone(), managed, arrival));
}

fn report_landed(context: &Context, write: &Write, took: Duration) {
    let (metrics, object) = (&context.metrics, &write.object);
    if let Some(note) = &write.edited {
        metrics.count_write(WriteResult::Edit);
        tracing::info!(%object, "{note}");
        context.recorder.publish(reports::edited(write, note));
    }
    match &write.kind {
        WriteKind::Flip(flip) => report_flip(context, write, flip, took),
        WriteKind::Correction => {
            metrics.wrote(took);
            tracing::info!(%object, "weights put right");
        }
        WriteKind::Record => {
            metrics.count_write(WriteResult::Record);
            tracing::debug!(%object, "recorded");
        }
        WriteKind::Disclaim => {
            metrics.count_write(WriteResult::Disclaim);
            tracing::debug!(%object, "claim on spec given up");
        }
    }
}

fn report_flip(context: &Context, write: &Write, flip: &Flip, took: Duration) {
    let metrics = &context.metrics;
    metrics.wrote(took);
    metrics.flipped(flip.on_primary());
    if flip.is_early() {
        metrics.guard.flips.inc();
    }
    if flip.is_taken_back() {
        metrics.guard.taken_back.inc();
    }
    tracing::info!(object = %write.object, "{}", flip.made());
    context.recorder.publish(reports::flipped(write, flip));
}
