//! The work queue: the objects that are to be reconciled, now or at a later time.

use crate::kinds::ObjectRef;
use crate::reconciler::delayed_queue::DelayedQueue;
use std::collections::{HashSet, VecDeque};
use std::time::{Duration, Instant};

/// Objects in the order in which they are reconciled, each once.
#[derive(Default)]
pub(crate) struct WorkQueue {
    /// With the time at which each was first enqueued.
    pending: VecDeque<(ObjectRef, Instant)>,
    queued: HashSet<ObjectRef>,
    delayed: DelayedQueue,
}

impl WorkQueue {
    /// Adds an object behind the others, unless it is queued already.
    pub(crate) fn enqueue(&mut self, object: ObjectRef, at: Instant) {
        if self.queued.insert(object.clone()) {
            self.pending.push_back((object, at));
        }
    }

    /// Adds an object before all others: what they lose is lost, and its loss is yet to come.
    pub(crate) fn enqueue_first(&mut self, object: ObjectRef, at: Instant) {
        if self.pending.front().is_none_or(|(first, _)| *first != object) {
            // It may be queued further behind too, and is reconciled once more then.
            self.queued.insert(object.clone());
            self.pending.push_front((object, at));
        }
    }

    /// Makes an object due after this time, or earlier where it is due earlier already.
    pub(crate) fn enqueue_after(&mut self, object: &ObjectRef, after: Duration) {
        self.delayed.enqueue_after(object, after);
    }

    /// The next delayed object that is due; none while no object is delayed.
    pub(crate) async fn next_due(&mut self) -> Option<ObjectRef> {
        self.delayed.next().await
    }

    /// Takes the next object out, with the time at which it was first enqueued.
    pub(crate) fn dequeue(&mut self) -> Option<(ObjectRef, Instant)> {
        let (object, noticed) = self.pending.pop_front()?;
        self.queued.remove(&object);
        Some((object, noticed))
    }

    /// Drops what is queued; delayed objects stay.
    pub(crate) fn clear(&mut self) {
        self.pending.clear();
        self.queued.clear();
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.pending.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kinds::{Kind, ObjectKey};

    fn object(name: &str) -> ObjectRef {
        ObjectRef::new(Kind::TrafficSplit, ObjectKey::new("ns", name))
    }

    #[test]
    fn an_object_is_queued_once_and_keeps_the_time_it_was_first_enqueued() {
        let (mut queue, first) = (WorkQueue::default(), Instant::now());
        queue.enqueue(object("a"), first);
        queue.enqueue(object("b"), first);
        queue.enqueue(object("a"), first + Duration::from_secs(1));
        assert_eq!(queue.dequeue(), Some((object("a"), first)));
        queue.enqueue(object("a"), first);
        assert_eq!(queue.dequeue(), Some((object("b"), first)));
        assert_eq!(queue.dequeue(), Some((object("a"), first)));
        assert!(queue.is_empty() && queue.dequeue().is_none());
    }

    #[test]
    fn an_object_that_a_deletion_waits_for_goes_before_all_others() {
        let (mut queue, now) = (WorkQueue::default(), Instant::now());
        queue.enqueue(object("a"), now);
        queue.enqueue(object("b"), now);
        queue.enqueue_first(object("b"), now);
        queue.enqueue_first(object("b"), now);
        let order: Vec<_> = std::iter::from_fn(|| queue.dequeue()).map(|(o, _)| o).collect();
        assert_eq!(order, [object("b"), object("a"), object("b")]);
    }
}
