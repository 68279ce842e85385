//! Objects to look at again, each at one moment.

use crate::kinds::ObjectRef;
use futures::StreamExt;
use std::collections::HashMap;
use std::time::Duration;
use tokio_util::time::{DelayQueue, delay_queue};

/// No alarm is further away: a wall clock that jumps is noticed by then.
const LONGEST: Duration = Duration::from_secs(30);

#[derive(Default)]
pub(crate) struct Alarms {
    queue: DelayQueue<ObjectRef>,
    set: HashMap<ObjectRef, delay_queue::Key>,
}

impl Alarms {
    /// Wakes an object after this time, or earlier where that was asked for already.
    pub(crate) fn set(&mut self, key: &ObjectRef, after: Duration) {
        let after = after.min(LONGEST);
        match self.set.get(key) {
            Some(there) if self.queue.deadline(there) <= tokio::time::Instant::now() + after => {}
            Some(there) => self.queue.reset(there, after),
            None => {
                let there = self.queue.insert(key.clone(), after);
                self.set.insert(key.clone(), there);
            }
        }
    }

    /// The next object that is due; none while no alarm is set.
    pub(crate) async fn next(&mut self) -> Option<ObjectRef> {
        let due = self.queue.next().await?.into_inner();
        self.set.remove(&due);
        Some(due)
    }
}
