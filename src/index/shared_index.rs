//! The index behind a lock, which notifies the reconciler of changes.

use crate::clock::Clock;
use crate::engine::Now;
use crate::index::order::Superseded;
use crate::index::store::Index;
use crate::kinds::ObjectRef;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use tokio::sync::{mpsc, watch};

/// The objects that each change concerns, to be reconciled.
pub(crate) type ChangedObjects = mpsc::UnboundedReceiver<Vec<ObjectRef>>;

/// The index, shared. Its lock is held for lookups and changes, never across I/O.
#[derive(Clone)]
pub(crate) struct SharedIndex {
    index: Arc<RwLock<Index>>,
    changed: mpsc::UnboundedSender<Vec<ObjectRef>>,
    clock: Clock,
    remote_revision: Arc<watch::Sender<u64>>,
}

impl SharedIndex {
    pub(crate) fn new() -> (Self, ChangedObjects) {
        let (changed, changes) = mpsc::unbounded_channel();
        let index = Arc::new(RwLock::new(Index::default()));
        let remote_revision = Arc::new(watch::Sender::new(0));
        (Self { index, changed, clock: Clock::start(), remote_revision }, changes)
    }

    /// The time by the clock of the index.
    pub(crate) fn now(&self) -> Now {
        self.clock.now()
    }

    pub(crate) fn read(&self) -> RwLockReadGuard<'_, Index> {
        // After a panic the facts are consistent: no update panics in between.
        self.index.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notifies when the Services that are requested of linked clusters may have changed.
    pub(crate) fn remote_revision(&self) -> watch::Receiver<u64> {
        self.remote_revision.subscribe()
    }

    fn write(&self) -> RwLockWriteGuard<'_, Index> {
        self.index.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes the index, and reports the objects that the change concerns.
    pub(crate) fn update(&self, change: impl FnOnce(&mut Index) -> Vec<ObjectRef>) {
        let (affected, synced_changed) = {
            let mut index = self.write();
            index.now = self.clock.now();
            let synced = index.synced;
            let affected = change(&mut index);
            let revision = index.remote.revision();
            self.remote_revision
                .send_if_modified(|last| std::mem::replace(last, revision) != revision);
            (affected, index.synced != synced)
        };
        // A change of what is synced concerns every object, and the metrics.
        if synced_changed || !affected.is_empty() {
            // The receiver is gone while the process stops.
            let _ = self.changed.send(affected);
        }
    }

    /// Enters the answer to a request past the watch, unless it is superseded.
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
