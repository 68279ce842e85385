//! Objects that are due at a later time, each once.

use crate::kinds::ObjectRef;
use futures::StreamExt;
use std::collections::HashMap;
use std::time::Duration;
use tokio_util::time::{DelayQueue, delay_queue};

/// No delay is longer: a wall clock that jumps is noticed by then.
const MAX_DELAY: Duration = Duration::from_secs(30);

/// Objects by the time at which they are due.
#[derive(Default)]
pub(crate) struct DelayedQueue {
    queue: DelayQueue<ObjectRef>,
    keys: HashMap<ObjectRef, delay_queue::Key>,
}

impl DelayedQueue {
    /// Makes an object due after this time, or earlier where it is due earlier already.
    pub(crate) fn enqueue_after(&mut self, object: &ObjectRef, after: Duration) {
        let after = after.min(MAX_DELAY);
        match self.keys.get(object) {
            Some(key) if self.queue.deadline(key) <= tokio::time::Instant::now() + after => {}
            Some(key) => self.queue.reset(key, after),
            None => {
                let key = self.queue.insert(object.clone(), after);
                self.keys.insert(object.clone(), key);
            }
        }
    }

    /// The next object that is due; none while no object is delayed.
    pub(crate) async fn next(&mut self) -> Option<ObjectRef> {
        let due = self.queue.next().await?.into_inner();
        self.keys.remove(&due);
        Some(due)
    }
}
