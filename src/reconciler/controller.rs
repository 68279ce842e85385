//! The loop: changed objects are enqueued, queued ones are reconciled, and finished writes are observed.

use crate::deletion_guard::PendingAnnouncement;
use crate::index::change::Change;
use crate::index::shared_index::ChangedObjects;
use crate::informers::confirm::ConsistentReader;
use crate::kinds::ObjectRef;
use crate::notifications::Transitions;
use crate::reconciler::context::{Context, ReconcileRequest};
use crate::reconciler::gates::arbiter::Arbiter;
use crate::reconciler::gates::brake::{BrakeRecord, Ledger, LedgerAnswer};
use crate::reconciler::gates::brake_gate::BrakeGate;
use crate::reconciler::in_flight::WriteClients;
use crate::reconciler::memory::Memories;
use crate::reconciler::ordered_queue::{Cause, Urgency};
use crate::reconciler::pending_deletions::PendingDeletions;
use crate::reconciler::record_backlog::RecordBacklog;
use crate::reconciler::service_profiles::plan::ProfileSettings;
use crate::reconciler::service_profiles::writes::{FinishedProfileWrite, ProfileWrites};
use crate::reconciler::state::Reconciler;
use crate::reconciler::work_queue::WorkQueue;
use crate::reconciler::writes::{FinishedWrite, Writes};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::{mpsc, watch};
use tokio::time::Interval;
use tokio_util::sync::CancellationToken;

/// How long a shutdown waits for the writes under way.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(5);
/// How often expired memories are dropped.
const PRUNE_EVERY: Duration = Duration::from_secs(60);
/// So many objects are reconciled before events and answers are taken in again: less than a millisecond
/// or two.
const AT_A_TIME: usize = 128;
/// How often the brake is looked at even if nothing happens.
const BRAKE_TICK: Duration = Duration::from_secs(5);

/// What the controller is made from.
pub(crate) struct ControllerParts {
    pub context: Context,
    /// For the LISTs before a move.
    pub reader: ConsistentReader,
    pub writes: WriteClients,
    pub profile_writes: WriteClients,
    /// How ServiceProfiles are written; none: they are not.
    pub profiles: Option<Arc<ProfileSettings>>,
    /// Where the brake's record outlives this replica.
    pub ledger: Ledger,
    /// The same, as the candidate for the Lease reads it.
    pub brake_record: watch::Receiver<Option<BrakeRecord>>,
    /// The objects that a change of the index concerns.
    pub changes: ChangedObjects,
    /// Deletions of pods that are announced.
    pub announcements: mpsc::Receiver<PendingAnnouncement>,
}

/// Reconciles managed objects while the caches are synced: as the leader, or where the leader does not.
pub(crate) struct Controller {
    reconciler: Reconciler,
    changes: ChangedObjects,
    announcements: mpsc::Receiver<PendingAnnouncement>,
    leading: watch::Receiver<bool>,
    brake_record: watch::Receiver<Option<BrakeRecord>>,
    prune: Interval,
    brake_tick: Interval,
    /// More is queued than was reconciled at a time.
    more: bool,
}

/// What the loop waits for.
enum Input {
    Changed(Change),
    Announced(PendingAnnouncement),
    Written(FinishedWrite),
    ProfileWritten(FinishedProfileWrite),
    /// A LIST past the watch was answered; these objects are due, some only after a while.
    Confirmed(Vec<(ObjectRef, Option<Duration>)>),
    /// A delayed object is due.
    Due(ObjectRef),
    /// Writes under way have become slow.
    WritesSlow,
    /// More is queued than was reconciled at a time.
    More,
    BrakeRecord,
    LedgerAnswered(LedgerAnswer),
    BrakeTick,
    LeadershipChanged,
    Prune,
}

impl Controller {
    pub(crate) fn new(parts: ControllerParts) -> Self {
        let settings = parts.context.settings;
        let concurrency = settings.concurrency;
        Self {
            leading: parts.context.leading.clone(),
            reconciler: Reconciler {
                queue: WorkQueue::default(),
                backlog: RecordBacklog::default(),
                writes: Writes::new(parts.writes, concurrency),
                profiles: ProfileWrites::new(parts.profiles, parts.profile_writes, concurrency),
                memories: Memories::default(),
                transitions: Transitions::default(),
                deletions: PendingDeletions::default(),
                brake: BrakeGate::new(settings.brake, Some(parts.ledger)),
                arbiter: Arbiter::new(parts.reader),
                was_unsynced: false,
                context: parts.context,
            },
            changes: parts.changes,
            announcements: parts.announcements,
            brake_record: parts.brake_record,
            prune: tokio::time::interval(PRUNE_EVERY),
            brake_tick: tokio::time::interval(BRAKE_TICK),
            more: false,
        }
    }

    /// Runs until `stop`, then lets the writes under way end.
    pub(crate) async fn run(mut self, stop: CancellationToken) {
        loop {
            tokio::select! {
                input = self.next_input() => self.handle(input),
                () = stop.cancelled() => break,
            }
            self.handle_changes();
            self.reconcile_queued();
        }
        if tokio::time::timeout(SHUTDOWN_TIMEOUT, self.finish_writes()).await.is_err() {
            tracing::warn!("writes that had no answer are left to the next leader");
        }
    }

    async fn next_input(&mut self) -> Input {
        let state = &mut self.reconciler;
        let (due, brakes, more) = (state.due(), state.brake.is_on(), self.more);
        tokio::select! {
            Some(change) = self.changes.recv() => Input::Changed(change),
            Some(announcement) = self.announcements.recv() => Input::Announced(announcement),
            Some(done) = state.writes.in_flight.next() => Input::Written(done),
            Some(done) = state.profiles.in_flight.next() => Input::ProfileWritten(done),
            Some(answer) = state.arbiter.next_answer() => Input::Confirmed(answer),
            Some(object) = state.queue.next_due() => Input::Due(object),
            Ok(()) = self.brake_record.changed() => Input::BrakeRecord,
            Some(answer) = state.brake.next_answer() => Input::LedgerAnswered(answer),
            () = until(due) => Input::WritesSlow,
            () = tokio::task::yield_now(), if more => Input::More,
            _ = self.brake_tick.tick(), if brakes => Input::BrakeTick,
            Ok(()) = self.leading.changed() => Input::LeadershipChanged,
            _ = self.prune.tick() => Input::Prune,
        }
    }

    /// Takes in the changes that have come meanwhile: what callers wait for goes first.
    fn handle_changes(&mut self) {
        while let Ok(change) = self.changes.try_recv() {
            self.reconciler.enqueue_changed(change);
        }
    }

    fn handle(&mut self, input: Input) {
        let state = &mut self.reconciler;
        match input {
            Input::Changed(change) => state.enqueue_changed(change),
            Input::Announced(first) => state.admit_announcements(first, &mut self.announcements),
            Input::Written(done) => state.finish(done),
            Input::ProfileWritten(done) => state.finish_profile(done),
            Input::Confirmed(objects) => {
                state.context.metrics.confirmations.inc();
                state.enqueue_answered(objects);
            }
            Input::Due(object) => state.enqueue(object, Cause::now(Urgency::Loss)),
            Input::WritesSlow => state.advance(Instant::now()),
            Input::BrakeRecord => self.observe_brake_record(),
            Input::LedgerAnswered(LedgerAnswer { record, objects }) => {
                if let Some(record) = record {
                    state.observe_brake_record(record);
                }
                state.enqueue_answered(objects);
            }
            Input::BrakeTick | Input::More => {}
            Input::LeadershipChanged => self.change_leadership(),
            Input::Prune => state.prune(),
        }
    }

    /// The candidate for the Lease has read the brake's record.
    fn observe_brake_record(&mut self) {
        let record = self.brake_record.borrow_and_update().clone();
        // Where there is no candidate, none is read.
        if let Some(record) = record {
            self.reconciler.observe_brake_record(record);
        }
    }

    fn change_leadership(&mut self) {
        // A new leader begins with what the one before it knew.
        self.observe_brake_record();
        let state = &mut self.reconciler;
        state.arbiter.leadership_changed();
        if !state.context.leads() {
            state.deletions.release_all();
        }
        state.show_reported();
        state.enqueue_everything();
    }

    /// Reconciles what is queued, as long as its writes have room.
    fn reconcile_queued(&mut self) {
        let state = &mut self.reconciler;
        let shared = state.context.shared.clone();
        let index = shared.read();
        state.show_facts(&index);
        self.more = false;
        // What is dropped here is enqueued again once the caches are synced.
        if !index.synced.all() {
            return state.suspend();
        }
        if std::mem::take(&mut state.was_unsynced) {
            state.enqueue_synced(&index);
        }
        let (now, leads) = (shared.now(), state.context.leads());
        let mut times = 0;
        while let Some((object, noticed)) = state.next_with_room() {
            let (index, object) = (&*index, &object);
            state.reconcile(&ReconcileRequest { index, object, noticed, now, leads });
            times += 1;
            if times == AT_A_TIME {
                self.more = true;
                break;
            }
        }
        state.count_in_flight();
        let all = state.queue.is_empty();
        state.brake.finish_round(&index, all, leads, now, &state.context.metrics);
        state.show_state();
    }

    async fn finish_writes(&mut self) {
        let state = &mut self.reconciler;
        while let Some(done) = state.writes.in_flight.next().await {
            state.finish(done);
        }
        while let Some(done) = state.profiles.in_flight.next().await {
            state.finish_profile(done);
        }
    }
}

/// Waits until then; without end where nothing is due.
async fn until(due: Option<Instant>) {
    match due {
        Some(due) => tokio::time::sleep_until(due.into()).await,
        None => std::future::pending().await,
    }
}
