//! The work queue: the objects that are to be reconciled, now or at a later time.

use crate::index::change::Noticed;
use crate::kinds::ObjectRef;
use crate::reconciler::delayed_queue::DelayedQueue;
use crate::reconciler::ordered_queue::{Cause, OrderedQueue, Urgency};
use std::time::{Duration, Instant};

/// Objects in the order in which they are reconciled, each once.
#[derive(Default)]
pub(crate) struct WorkQueue {
    pending: OrderedQueue,
    delayed: DelayedQueue,
}

impl WorkQueue {
    /// Adds an object behind those that are as urgent, unless it is queued already.
    pub(crate) fn enqueue(&mut self, object: ObjectRef, cause: Cause) {
        self.pending.enqueue(object, cause);
    }

    /// Makes an object due after this time, or earlier where it is due earlier already.
    pub(crate) fn enqueue_after(&mut self, object: &ObjectRef, after: Duration) {
        self.delayed.enqueue_after(object, after);
    }

    /// The next delayed object that is due; none while no object is delayed.
    pub(crate) async fn next_due(&mut self) -> Option<ObjectRef> {
        self.delayed.next().await
    }

    /// Takes the next object out whose urgency has room, with the steps by which it was noticed.
    pub(crate) fn dequeue(
        &mut self,
        has_room: impl Fn(Urgency) -> bool,
    ) -> Option<(ObjectRef, Noticed)> {
        let (object, noticed) = self.pending.take(has_room)?;
        Some((object, Noticed { dequeued: Instant::now(), ..noticed }))
    }

    /// Whether anything is queued that is more urgent.
    pub(crate) fn has_before(&self, urgency: Urgency) -> bool {
        self.pending.has_before(urgency)
    }

    /// Drops what is queued; delayed objects stay.
    pub(crate) fn clear(&mut self) {
        self.pending.clear();
    }

    /// Those that are to be reconciled now.
    pub(crate) fn pending(&self) -> &OrderedQueue {
        &self.pending
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.pending.is_empty()
    }
}
