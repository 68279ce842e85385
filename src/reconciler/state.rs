//! The reconciler's state: what is queued, what is under way, and what it remembers.

use crate::index::change::{Change, Noticed};
use crate::index::resource::WatchedResource;
use crate::index::store::Index;
use crate::kinds::ObjectRef;
use crate::notifications::Transitions;
use crate::reconciler::context::Context;
use crate::reconciler::gates::arbiter::Arbiter;
use crate::reconciler::gates::brake::BrakeRecord;
use crate::reconciler::gates::brake_gate::BrakeGate;
use crate::reconciler::gates::recording::Traffic;
use crate::reconciler::memory::Memories;
use crate::reconciler::ordered_queue::{Cause, OrderedQueue, Urgency};
use crate::reconciler::pending_deletions::PendingDeletions;
use crate::reconciler::record_backlog::RecordBacklog;
use crate::reconciler::service_profiles::outcomes::ProfileFollowUp;
use crate::reconciler::service_profiles::writes::{FinishedProfileWrite, ProfileWrites};
use crate::reconciler::work_queue::WorkQueue;
use crate::reconciler::writes::Writes;
use crate::telemetry::QueueState;
use std::collections::HashSet;
use std::time::{Duration, Instant};

/// So many splits are written while the profiles of others wait.
const BESIDE_PROFILES: usize = 2;

/// Makes the weights of managed objects what the engine decides, one object at a time.
pub(crate) struct Reconciler {
    pub context: Context,
    /// What is queued.
    pub queue: WorkQueue,
    /// What is to be recorded, once nothing is queued.
    pub backlog: RecordBacklog,
    /// What is under way.
    pub writes: Writes,
    pub profiles: ProfileWrites,
    /// What is remembered of objects.
    pub memories: Memories,
    /// The transitions that are reported as notifications.
    pub transitions: Transitions,
    /// Deletions that wait for a flip.
    pub deletions: PendingDeletions,
    /// The gates that remember something themselves.
    pub brake: BrakeGate,
    pub arbiter: Arbiter,
    /// The caches have not been synced: what was queued meanwhile has been dropped.
    pub was_unsynced: bool,
}

impl Reconciler {
    /// Enqueues an object. Where its write is about to be answered, it is enqueued again after that.
    pub(crate) fn enqueue(&mut self, object: ObjectRef, cause: Cause) {
        let urgency = match self.deletions.concerns(&object) {
            true => Urgency::Deletion,
            false => cause.urgency,
        };
        let cause = Cause { urgency, ..cause };
        match self.writes.in_flight.blocks(&object) {
            true => self.writes.in_flight.mark_dirty(object, cause),
            false => self.queue.enqueue(object, cause),
        }
    }

    pub(crate) fn enqueue_all(
        &mut self,
        objects: impl IntoIterator<Item = ObjectRef>,
        cause: Cause,
    ) {
        for object in objects {
            self.enqueue(object, cause);
        }
    }

    /// Enqueues the objects that a change of the index concerns.
    pub(crate) fn enqueue_changed(&mut self, change: Change) {
        let cause = Cause::of(&change);
        self.enqueue_all(change.objects, cause);
    }

    /// Enqueues the objects that have waited for an answer; after a while where there was none.
    pub(crate) fn enqueue_answered(&mut self, objects: Vec<(ObjectRef, Option<Duration>)>) {
        for (object, retry_after) in objects {
            match retry_after {
                None => self.enqueue(object, Cause::now(Urgency::Loss)),
                Some(after) => self.queue.enqueue_after(&object, after),
            }
        }
    }

    /// Enqueues every managed object: callers of any may hang.
    pub(crate) fn enqueue_everything(&mut self) {
        let objects = self.context.shared.read().object_refs();
        self.enqueue_all(objects, Cause::now(Urgency::Loss));
    }

    /// Once the caches are synced again, enqueues every object, and those that are gone and of which
    /// something is remembered here.
    pub(crate) fn enqueue_synced(&mut self, index: &Index) {
        self.enqueue_all(index.object_refs(), Cause::now(Urgency::Loss));
        let remembered = self.memories.keys().chain(self.profiles.memories.keys());
        let vanished = vanished(remembered.chain(self.deletions.objects()), index);
        self.enqueue_all(vanished, Cause::now(Urgency::Change));
    }

    /// The next object to reconcile, while its write has room: of those that are queued, then of those
    /// that have waited for a place, then of those that are to be recorded.
    pub(crate) fn next_with_room(&mut self) -> Option<(ObjectRef, Noticed)> {
        let rooms = Urgency::ALL.map(|urgency| self.has_room(urgency));
        self.queue
            .dequeue(|urgency| rooms[urgency as usize])
            .or_else(|| self.writes.in_flight.take_next())
            .or_else(|| self.profiles.in_flight.take_next())
            .or_else(|| self.next_record())
    }

    /// Whether an object that is so urgent may be written now.
    pub(crate) fn has_room(&self, urgency: Urgency) -> bool {
        let (writes, profiles) = (&self.writes.in_flight, &self.profiles.in_flight);
        match urgency {
            // They would take the API server from profiles that callers still wait for. But the other replicas
            // have to see that this one flips.
            Urgency::ProfileMoved => {
                let profiles_wait = self.queue.has_before(urgency);
                writes.has_room(urgency) && (!profiles_wait || writes.fast() < BESIDE_PROFILES)
            }
            _ => writes.has_room(urgency) && profiles.has_room(urgency),
        }
    }

    fn next_record(&mut self) -> Option<(ObjectRef, Noticed)> {
        let (oldest, now) = (self.backlog.oldest()?, Instant::now());
        if self.traffic().is_crowded(oldest, now) {
            return None;
        }
        Some((self.backlog.take_next()?, Noticed::now()))
    }

    /// What records have to keep out of the way of.
    pub(crate) fn traffic(&self) -> Traffic {
        let fast_writes = self.writes.in_flight.fast() + self.profiles.in_flight.fast();
        let changes = [self.writes.in_flight.last_change(), self.profiles.in_flight.last_change()];
        Traffic {
            fast_writes,
            is_queued: self.queue.has_before(Urgency::Record),
            last_change: changes.into_iter().flatten().max(),
        }
    }

    /// Observes how the write of a profile ended.
    pub(crate) fn finish_profile(&mut self, done: FinishedProfileWrite) {
        let has_moved = done.has_moved_traffic();
        let ProfileFollowUp { split, enqueue, retry_after, throttled } =
            self.profiles.finish(&self.context, done);
        if has_moved {
            self.deletions.flipped(&split, false, Instant::now());
        }
        self.observe_throttling(throttled);
        if let Some(after) = retry_after {
            self.queue.enqueue_after(&split, after);
        }
        if self.deletions.concerns(&split) {
            self.enqueue(split, Cause::now(Urgency::Deletion));
        } else if let Some(cause) = enqueue {
            self.enqueue(split, cause);
        }
    }

    /// Observes the brake's record in the Lease.
    pub(crate) fn observe_brake_record(&mut self, record: BrakeRecord) {
        let (leads, now) = (self.context.leads(), self.context.shared.now());
        if self.brake.take_in(record, leads, now) {
            self.enqueue_everything();
        }
    }

    /// Advances to `now`: nothing waits any longer for writes that have become slow.
    pub(crate) fn advance(&mut self, now: Instant) {
        let slow = self.writes.in_flight.advance(now);
        for (object, cause) in self.profiles.in_flight.advance(now).into_iter().chain(slow) {
            self.enqueue(object, cause);
        }
    }

    /// While the API server throttles, what nobody waits for is not written.
    pub(crate) fn observe_throttling(&mut self, pause: Option<Duration>) {
        if let Some(pause) = pause {
            let until = Instant::now() + pause;
            self.writes.in_flight.throttle(until);
            self.profiles.in_flight.throttle(until);
        }
    }

    /// When [`Self::advance`] has something to do, or a record may be written.
    pub(crate) fn due(&self) -> Option<Instant> {
        let free = |oldest| self.traffic().free_from(oldest, Instant::now());
        let records = self.backlog.oldest().and_then(free);
        let writes = [self.writes.in_flight.due(), self.profiles.in_flight.due()];
        writes.into_iter().flatten().chain(records).min()
    }

    /// The caches are not synced: nothing is decided, and what is queued is dropped.
    pub(crate) fn suspend(&mut self) {
        self.queue.clear();
        self.backlog.clear();
        self.writes.in_flight.forget_waiting();
        self.profiles.in_flight.forget_waiting();
        self.deletions.release_all();
        self.context.metrics.queue.set(self.queue_state());
        self.was_unsynced = true;
    }

    /// Forgets what is past.
    pub(crate) fn prune(&mut self) {
        let now = Instant::now();
        self.show_reported();
        self.memories.prune(now);
        self.transitions.prune(self.context.shared.now().wall);
        self.profiles.memories.prune(now);
        self.arbiter.prune(self.context.shared.now().steady);
        self.deletions.prune(self.context.settings.deletion_delay, now);
        self.context.shared.update(|index| {
            index.prune_announced_pods();
            vec![]
        });
    }

    /// Shows the state of the facts in the metrics.
    pub(crate) fn show_facts(&self, index: &Index) {
        let metrics = &self.context.metrics;
        metrics.synced.set(i64::from(index.synced.all()));
        metrics.namespaces_known.set(i64::from(index.synced.has(WatchedResource::Namespaces)));
        metrics.forbidden.set(index.forbidden.len() as i64);
        metrics.managed.set(index.objects().len() as i64);
        metrics.frozen.set(i64::from(index.cluster_wide.frozen));
    }

    /// Shows what is reported of objects in the metrics.
    pub(crate) fn show_reported(&self) {
        self.memories.show(self.context.leads(), &self.context.metrics);
    }

    /// Shows the state of the reconciler in the metrics, once everything that was due is decided.
    pub(crate) fn show_state(&self) {
        let metrics = &self.context.metrics;
        metrics.silent.set(i64::from(self.arbiter.is_silent()));
        metrics.nothing_ready.set(self.memories.nothing_ready() as i64);
        metrics.queue.set(self.queue_state());
    }

    /// What waits to be reconciled, or to be written.
    fn queue_state(&self) -> QueueState {
        let (writes, profiles) = (&self.writes.in_flight, &self.profiles.in_flight);
        let waiting = writes.waiting().iter().chain(profiles.waiting());
        let lines = [self.queue.pending()].into_iter().chain(waiting);
        QueueState {
            length: lines.clone().map(OrderedQueue::len).sum(),
            oldest: lines.filter_map(OrderedQueue::oldest).min(),
        }
    }

    /// Shows how many writes are under way, in the metrics and to those that keep out of their way.
    pub(crate) fn count_in_flight(&self) {
        let (writes, profiles) = (&self.writes.in_flight, &self.profiles.in_flight);
        let metrics = &self.context.metrics;
        metrics.in_flight.set((writes.len() + profiles.len()) as i64);
        metrics.slow.set((writes.slow() + profiles.slow()) as i64);
        let fast = writes.fast() + profiles.fast();
        self.context.quiet_since.send_if_modified(|since| {
            let changes = since.is_some() != (fast == 0);
            if changes {
                *since = (fast == 0).then(Instant::now);
            }
            changes
        });
    }
}

/// Those of the objects that are not in the index.
fn vanished<'a>(objects: impl Iterator<Item = &'a ObjectRef>, index: &Index) -> HashSet<ObjectRef> {
    objects.filter(|object| index.object(object).is_none()).cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::deletion_guard::AnnouncementOutcome;
    use crate::kinds::{Kind, ObjectKey};
    use crate::reconciler::memory::Readability;

    #[test]
    fn what_vanished_while_nothing_was_decided_is_enqueued_once_the_caches_are_synced() {
        let object = |name: &str| ObjectRef::new(Kind::TrafficSplit, ObjectKey::new("ns", name));
        let mut memories = Memories::default();
        memories.entry(&object("remembered")).readability = Readability::Unreadable;
        let mut deletions = PendingDeletions::default();
        let (reply, _answer) = tokio::sync::oneshot::channel();
        deletions.add(HashSet::from([object("waited-for")]), AnnouncementOutcome::NoFlip, reply);
        // Neither is in the index any more.
        let remembered = memories.keys().chain(deletions.objects());
        let vanished = vanished(remembered, &Index::default());
        assert_eq!(vanished, [object("remembered"), object("waited-for")].into());
    }
}
