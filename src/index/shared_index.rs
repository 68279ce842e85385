//! The index as it is shared: who changes it, and who hears of its changes.

use crate::clock::Clock;
use crate::engine::Now;
use crate::index::order::Superseded;
use crate::index::store::Index;
use crate::kinds::ObjectRef;
use std::sync::{Arc, RwLock, RwLockReadGuard, RwLockWriteGuard};
use tokio::sync::{mpsc, watch};

/// Objects to decide anew, as each event concerns them.
pub(crate) type ChangedObjects = mpsc::UnboundedReceiver<Vec<ObjectRef>>;

/// The index, and who hears of its changes. Locks are held for lookups only, never across I/O.
#[derive(Clone)]
pub(crate) struct SharedIndex {
    index: Arc<RwLock<Index>>,
    changed: mpsc::UnboundedSender<Vec<ObjectRef>>,
    clock: Clock,
    wanted: Arc<watch::Sender<u64>>,
}

impl SharedIndex {
    pub(crate) fn new() -> (Self, ChangedObjects) {
        let (changed, changes) = mpsc::unbounded_channel();
        let index = Arc::new(RwLock::new(Index::default()));
        let wanted = Arc::new(watch::Sender::new(0));
        (Self { index, changed, clock: Clock::start(), wanted }, changes)
    }

    /// The time that the index goes by.
    pub(crate) fn now(&self) -> Now {
        self.clock.now()
    }

    pub(crate) fn read(&self) -> RwLockReadGuard<'_, Index> {
        // A poisoned lock still guards whole facts: each update is made by calls that do not panic
        // half way.
        self.index.read().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// Hears of it when what is asked of linked clusters may have changed.
    pub(crate) fn wanted(&self) -> watch::Receiver<u64> {
        self.wanted.subscribe()
    }

    fn write(&self) -> RwLockWriteGuard<'_, Index> {
        self.index.write().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// Changes the index, and hands on what the change concerns.
    pub(crate) fn update(&self, change: impl FnOnce(&mut Index) -> Vec<ObjectRef>) {
        let (affected, other_sight) = {
            let mut index = self.write();
            index.now = self.clock.now();
            let synced = index.synced;
            let affected = change(&mut index);
            let revision = index.remote.revision();
            self.wanted.send_if_modified(|last| std::mem::replace(last, revision) != revision);
            (affected, index.synced != synced)
        };
        // What is whole concerns all, and whoever says so.
        if other_sight || !affected.is_empty() {
            // Nobody listens while the program stops.
            let _ = self.changed.send(affected);
        }
    }

    /// Changes the index by the answer to a request past the watch, unless it is superseded.
    pub(crate) fn enter_answer(
        &self,
        change: impl FnOnce(&mut Index) -> Result<Vec<ObjectRef>, Superseded>,
    ) -> Result<(), Superseded> {
        let mut entered = Ok(());
        self.update(|index| {
            change(index).unwrap_or_else(|superseded| {
                entered = Err(superseded);
                vec![]
            })
        });
        entered
    }
}
