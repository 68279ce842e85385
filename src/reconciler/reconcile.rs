//! The loop: what is noticed is decided, and what may be written is; the newest decision wins.

use crate::deletion_guard::PendingAnnouncement;
use crate::engine::{Defaults, Identity, Now, PendingDelays};
use crate::events::Recorder;
use crate::index::endpoints::AddressFamilies;
use crate::index::managed_object::ManagedObject;
use crate::index::shared_index::{ChangedObjects, SharedIndex};
use crate::index::store::Index;
use crate::kinds::ObjectRef;
use crate::kinds::selector::LabelSelector;
use crate::leader_election::brake_record::BrakeRecord;
use crate::reconciler::gates::brake::{Ledger, TrafficPosition};
use crate::reconciler::gates::braking::brake_news;
use crate::reconciler::lanes::Lane;
use crate::reconciler::memory::Memory;
use crate::reconciler::plan::{self, Moves, Plan, WriteKind};
use crate::reconciler::queue::Queue;
use crate::reconciler::service_profiles::lane::ProfileRequest;
use crate::reconciler::service_profiles::plan::ProfileSettings;
use crate::reconciler::writer::GiveUp;
use crate::telemetry::Metrics;
use jiff::SignedDuration;
use kube::Client;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

/// At the end the writes under way have so long to be answered.
const ENDING: Duration = Duration::from_secs(5);

/// How often what is past is forgotten.
const SWEEP: Duration = Duration::from_secs(60);
/// How often the brake is looked at even if nothing happens.
const BRAKE_TICK: Duration = Duration::from_secs(5);

/// Connections to the API server for writes. One carries a hundred at once: those that hang do not go by
/// the one that others need.
#[derive(Clone)]
pub(crate) struct WriteClients {
    pub fast: Client,
    pub slow: Client,
}

impl WriteClients {
    pub(crate) fn of(&self, lane: Lane) -> &Client {
        match lane {
            Lane::Fast => &self.fast,
            Lane::Refused | Lane::Hung => &self.slow,
        }
    }
}

/// Writes what is decided, while the caches are whole: as the leader, or where the leader does not.
pub(crate) struct Controller {
    /// For what is asked before a move.
    pub client: Client,
    pub writes: WriteClients,
    pub profile_writes: WriteClients,
    /// Of the managed objects.
    pub selector: LabelSelector,
    pub shared: SharedIndex,
    pub leading: watch::Receiver<bool>,
    pub me: Identity,
    pub settings: ControllerSettings,
    /// How ServiceProfiles are written; none: they are left alone.
    pub profiles: Option<Arc<ProfileSettings>>,
    /// Our own, where people release the brake.
    pub namespace: String,
    /// Where what the brake knows outlives this replica.
    pub ledger: Option<Ledger>,
    /// The same, as whoever strives for the Lease reads it.
    pub brake_record: watch::Receiver<Option<BrakeRecord>>,
    pub metrics: Arc<Metrics>,
    /// Events, to be published off the hot path.
    pub say: Recorder,
    /// How many writes are under way, for those that keep out of their way.
    pub busy: watch::Sender<usize>,
}

/// What the operator of the program sets.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ControllerSettings {
    pub defaults: Defaults,
    pub families: AddressFamilies,
    /// Writes at once. The API server's CPU is the limit of a fan-out; more only queue there.
    pub concurrency: usize,
    /// Share of all objects, in percent, beyond which the brake holds; none: no brake.
    pub brake: Option<u32>,
    /// The longest that the deletion of a pod is held up.
    pub hold_up: SignedDuration,
}

impl Controller {
    /// Runs until `stop`, then lets the writes under way end.
    pub(crate) async fn run(
        mut self,
        mut changes: ChangedObjects,
        mut announced: mpsc::Receiver<PendingAnnouncement>,
        stop: CancellationToken,
    ) {
        let mut queue =
            Queue::new(self.settings.concurrency, self.settings.brake, self.ledger.take());
        let mut sweep = tokio::time::interval(SWEEP);
        let mut brake_tick = tokio::time::interval(BRAKE_TICK);
        loop {
            let due = queue.due();
            tokio::select! {
                Some(keys) = changes.recv() => queue.notice_all(keys),
                Some(told) = announced.recv() => self.announced(&mut queue, told, &mut announced),
                Some(done) = queue.writes.join_next() => match done {
                    Ok(done) => self.finish(&mut queue, done),
                    // A task of ours that panicked is a defect; a process that goes on without
                    // knowing what it has in flight would be worse than one that is restarted.
                    Err(error) => std::panic::resume_unwind(error.into_panic()),
                },
                Some(done) = queue.profiles.writes.join_next() => match done {
                    Ok(done) => self.finish_profile(&mut queue, done),
                    Err(error) => std::panic::resume_unwind(error.into_panic()),
                },
                Some(answer) = queue.confirmations.next() => {
                    self.metrics.confirmations.inc();
                    for (object, retry_in) in answer {
                        match retry_in {
                            None => queue.notice(object, Instant::now()),
                            Some(wait) => queue.alarms.set(&object, wait),
                        }
                    }
                }
                Some(due) = queue.alarms.next() => queue.notice(due, Instant::now()),
                Ok(()) = self.brake_record.changed() => self.read_brake_record(&mut queue),
                Some(news) = brake_news(&mut queue.ledger) => self.brake_answered(&mut queue, news),
                () = until(due) => queue.turn(Instant::now()),
                _ = brake_tick.tick(), if queue.brake.is_some() => {}
                Ok(()) = self.leading.changed() => {
                    // It begins with what the one before it knew.
                    self.read_brake_record(&mut queue);
                    queue.silent = false;
                    if !self.leads() {
                        queue.waits.give_up();
                    }
                    let keys = self.shared.read().object_refs();
                    queue.notice_all(keys);
                }
                _ = sweep.tick() => {
                    self.metrics.not_in_use.set(queue.memories.not_in_use() as i64);
                    self.metrics.short.set(queue.memories.short() as i64);
                    self.metrics.without_primary.set(queue.memories.without_primary() as i64);
                    queue.memories.prune(Instant::now());
                    queue.profiles.prune(Instant::now());
                    queue.confirmations.prune(self.shared.now().steady);
                    queue.waits.prune();
                    self.shared.update(|index| {
                        index.prune_departures();
                        vec![]
                    });
                }
                () = stop.cancelled() => break,
            }
            self.dispatch(&mut queue);
        }
        let ending = async {
            while let Some(done) = queue.writes.join_next().await {
                if let Ok(done) = done {
                    self.finish(&mut queue, done);
                }
            }
            while let Some(done) = queue.profiles.writes.join_next().await {
                if let Ok(done) = done {
                    self.finish_profile(&mut queue, done);
                }
            }
        };
        if tokio::time::timeout(ENDING, ending).await.is_err() {
            tracing::warn!("writes that had no answer are left to the next leader");
        }
    }

    pub(crate) fn leads(&self) -> bool {
        *self.leading.borrow()
    }

    /// Decides what waits, and starts as many writes as may run.
    fn dispatch(&self, queue: &mut Queue) {
        let index = self.shared.read();
        self.metrics.synced.set(i64::from(index.synced.all()));
        self.metrics.forbidden.set(index.forbidden.len() as i64);
        self.metrics.managed.set(index.objects().len() as i64);
        self.metrics.frozen.set(i64::from(index.cluster_wide.frozen));
        // What is dropped here is noticed again: a LIST that completes brings every object back.
        if !index.synced.all() {
            queue.waiting.clear();
            queue.queued.clear();
            queue.lanes.forget_waiting();
            queue.profiles.lanes.forget_waiting();
            queue.waits.give_up();
            queue.blind = true;
            return;
        }
        if std::mem::take(&mut queue.blind) {
            queue.notice_vanished(&index);
        }
        let now = self.shared.now();
        while queue.lanes.has_room(Lane::Fast) {
            let Some((object, noticed)) = queue.waiting.pop_front() else { break };
            queue.queued.remove(&object);
            self.look_at(queue, &index, &object, noticed, now);
        }
        while let Some((object, noticed)) = queue.next_waiting() {
            self.look_at(queue, &index, &object, noticed, now);
        }
        self.count_in_flight(queue);
        self.tend_brake(queue, &index, now);
        self.metrics.silent.set(i64::from(queue.silent));
        self.metrics.nothing_ready.set(queue.memories.nothing_ready() as i64);
    }

    /// Decides one object, and lets those go who waited for that where nothing moves.
    fn look_at(
        &self,
        queue: &mut Queue,
        index: &Index,
        object: &ObjectRef,
        noticed: Instant,
        now: Now,
    ) {
        // It may have stood there twice.
        if queue.has_to_wait(object) {
            queue.again.insert(object.clone());
            return;
        }
        // A slow write goes on only as long as the newest decision wants it.
        if let Some(in_flight) = queue.in_flight.get_mut(object) {
            in_flight.wanted = false;
        }
        let moves = self.consider(queue, index, object, noticed, now);
        if queue.in_flight.get(object).is_some_and(|in_flight| !in_flight.wanted) {
            queue.give_up(object, GiveUp::Replaced);
        }
        if !moves {
            self.settle(queue, index, object);
        }
    }

    /// Decides one object, and starts its write if it needs one and may have it now. Whether its
    /// traffic is about to move.
    fn consider(
        &self,
        queue: &mut Queue,
        index: &Index,
        object: &ObjectRef,
        noticed: Instant,
        now: Now,
    ) -> bool {
        // What is known of the object may be old while its kind is listed anew, which brings it back
        // here.
        if !index.synced.objects[object.kind as usize] {
            queue.keep(object);
            self.tell_brake(queue, index, object, TrafficPosition::Undecided, now);
            return false;
        }
        let hidden = index.forbidden.has(object.namespace());
        let Some(managed) = index.object(object) else {
            self.forget(queue, object);
            let seen = if hidden { TrafficPosition::Undecided } else { TrafficPosition::Gone };
            self.tell_brake(queue, index, object, seen, now);
            self.give_back(queue, index, object, noticed);
            return false;
        };
        // Not known is not down.
        if hidden {
            self.tell_brake(queue, index, object, TrafficPosition::Undecided, now);
            return false;
        }
        self.mention_unreadable(queue, index, object, managed);
        self.mention_not_in_use(queue, index, object, managed, now);
        self.mention_without_primary(queue, index, object, managed);
        let memory = queue.memories.get(object);
        let Some(mut plan) = plan::plan(index, object, memory, &self.me, Moves::All, now) else {
            queue.memories.count_nothing_ready(object, false);
            let seen = if managed.sets.is_err() {
                TrafficPosition::Withdrawn
            } else {
                TrafficPosition::Undecided
            };
            self.tell_brake(queue, index, object, seen, now);
            return false;
        };
        if let Some(next) = plan.next {
            queue.alarms.set(object, next.try_into().unwrap_or_default());
        }
        if let Some(memory) = queue.memories.get_mut(object) {
            memory.decided(&plan.wants);
        }
        self.observe(queue, object, managed, &plan);
        self.mention_short(queue, index, object, managed, &plan.short);
        self.mention_nothing_ready(queue, index, object, managed, &plan, now);
        self.mention_landed(queue, object, managed);
        let Some(mut write) = plan.write.take() else {
            let memory = queue.memories.get_mut(object);
            // A standby sees through what it has begun.
            let ours = self.leads() || memory.as_ref().is_some_and(|m| m.rescued.is_some());
            if let Some(memory) = memory {
                memory.is_content();
            }
            self.tell_brake(queue, index, object, plan.stands, now);
            self.carry(
                queue,
                index,
                object,
                managed,
                ProfileRequest { decided: None, ours, noticed },
            );
            return false;
        };
        if plan.paused || index.cluster_wide.frozen {
            let why = if plan.paused { "this object is paused" } else { "the cluster is frozen" };
            self.tell_held(queue, &write, &plan, why);
            // Whoever freezes the cluster does not say that the primaries are back.
            let wants = write.leaves_primary() && !plan.paused;
            let seen = if wants { TrafficPosition::Undecided } else { plan.stands };
            self.tell_brake(queue, index, object, seen, now);
            let wish = ProfileRequest { decided: None, ours: self.leads(), noticed };
            self.carry(queue, index, object, managed, wish);
            return false;
        }
        // The brake first: a standby has to know how much wants to move.
        if !write.leaves_primary() {
            self.tell_brake(queue, index, object, plan.stands, now);
        } else if let WriteKind::Flip(flip) = &write.kind
            && !self.brake_lets_go(queue, index, &write, flip, &plan, now)
        {
            // Of several sets those that do not leave their primary are not held with the others.
            let memory = queue.memories.get(object);
            let rest = plan::plan(index, object, memory, &self.me, Moves::NotLeaving, now);
            match rest.and_then(|mut rest| Some((rest.write.take()?, rest))) {
                Some((moving, rest)) if moving.moves() => (write, plan) = (moving, rest),
                _ => {
                    let wish = ProfileRequest { decided: None, ours: self.leads(), noticed };
                    self.carry(queue, index, object, managed, wish);
                    return false;
                }
            }
        }
        let may = match &write.kind {
            WriteKind::Flip(_) => self.may_move(queue, index, object, &write, &plan, now),
            WriteKind::Correction => self.leads(),
            WriteKind::Record | WriteKind::Disclaim => {
                self.leads()
                    && (queue.is_writing(&write) || queue.is_due(object, managed.has_state()))
            }
        };
        // Its profile gets the same weights now, whatever becomes of this write.
        let decided = Some(write.weights.as_slice()).filter(|weights| may && !weights.is_empty());
        let ours = self.leads() || decided.is_some();
        self.carry(queue, index, object, managed, ProfileRequest { decided, ours, noticed });
        let moves = matches!(write.kind, WriteKind::Flip(_));
        if may && self.is_time(queue, &write, &plan) {
            self.start(queue, write, plan, index.ticket(object), noticed);
        }
        let hopeless = queue.memories.get(object).is_some_and(Memory::keeps_failing);
        moves && self.leads() && !hopeless
    }

    fn observe(&self, queue: &mut Queue, object: &ObjectRef, managed: &ManagedObject, plan: &Plan) {
        let recorded = managed.readable().iter().any(|set| !set.ahead().is_empty());
        let ahead = recorded || plan.ahead.values().any(|ahead| !ahead.is_empty());
        let delays = !plan.pending.values().all(PendingDelays::is_empty);
        if !ahead && !delays && queue.memories.get(object).is_none() {
            return;
        }
        for set in managed.readable() {
            let name = &set.intent.set;
            if let (Some(still), Some(to)) = (plan.ahead.get(name), plan.wants.get(name)) {
                queue.memories.entry(object).observe_ahead(name, set.ahead(), still, to);
            }
            let Some(pending) = plan.pending.get(&set.intent.set) else { continue };
            let active = set.state.as_ref().map(|state| state.active.as_slice());
            queue.memories.entry(object).observe(&set.intent.set, active, pending, &set.pending);
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
