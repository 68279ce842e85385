//! A change of the index, as the reconciler is notified of it.

use crate::kinds::ObjectRef;
use std::time::{Duration, Instant};

/// The objects that a change concerns, to be reconciled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Change {
    pub objects: Vec<ObjectRef>,
    pub noticed: Noticed,
    /// Callers' requests may hang until traffic has moved: only where Services have recovered they do not.
    pub may_be_loss: bool,
}

/// When it was noticed that an object is to be reconciled, step by step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Noticed {
    /// The event was read.
    pub read: Instant,
    /// The index had it.
    pub indexed: Instant,
    /// The object was taken from the queue.
    pub dequeued: Instant,
}

impl Noticed {
    /// By an event that was read then and has just entered the index.
    pub(crate) fn since(read: Instant) -> Self {
        let now = Instant::now();
        Self { read, indexed: now, dequeued: now }
    }

    /// Just now, by no event.
    pub(crate) fn now() -> Self {
        Self::since(Instant::now())
    }

    /// The time since the event was read.
    pub(crate) fn elapsed(&self) -> Duration {
        self.read.elapsed()
    }
}
