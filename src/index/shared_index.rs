//! The index behind a lock, which notifies the reconciler of changes.

use crate::clock::Clock;
use crate::engine::Now;
use crate::index::change::{Change, Noticed};
use crate::index::order::Superseded;
use crate::index::store::Index;
use crate::kinds::ObjectRef;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::Instant;
use tokio::sync::{mpsc, watch};

/// The changes of the index, in their order.
pub(crate) type ChangedObjects = mpsc::UnboundedReceiver<Change>;

/// The index, shared. Its lock is held for lookups and changes, never across I/O.
#[derive(Clone)]
pub(crate) struct SharedIndex {
    index: Arc<RwLock<Index>>,
    changed: mpsc::UnboundedSender<Change>,
    clock: Clock,
    remote_revision: Arc<watch::Sender<u64>>,
    declared_revision: Arc<watch::Sender<u64>>,
}

impl SharedIndex {
    pub(crate) fn new() -> (Self, ChangedObjects) {
        let (changed, changes) = mpsc::unbounded_channel();
        let index = Arc::new(RwLock::new(Index::default()));
        let revision = || Arc::new(watch::Sender::new(0));
        let (remote_revision, declared_revision) = (revision(), revision());
        let clock = Clock::start();
        (Self { index, changed, clock, remote_revision, declared_revision }, changes)
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

    /// Notifies when it may have changed what is declared down.
    pub(crate) fn declared_revision(&self) -> watch::Receiver<u64> {
        self.declared_revision.subscribe()
    }

    fn write(&self) -> RwLockWriteGuard<'_, Index> {
        self.index.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes the index out; an empty one stays.
    pub(crate) fn take(&self) -> Index {
        std::mem::take(&mut self.write())
    }

    /// Changes the index, and reports the objects that the change concerns.
    pub(crate) fn update(&self, change: impl FnOnce(&mut Index) -> Vec<ObjectRef>) {
        let read = Instant::now();
        let (objects, synced_changed, may_be_loss) = {
            let mut index = self.write();
            index.now = self.clock.now();
            index.is_recovery = None;
            let synced = index.synced;
            let objects = change(&mut index);
            publish(&self.remote_revision, index.remote.revision());
            publish(&self.declared_revision, index.declared_revision);
            (objects, index.synced != synced, index.is_recovery != Some(true))
        };
        // A change of what is synced concerns every object, and the metrics.
        if synced_changed || !objects.is_empty() {
            let noticed = Noticed::since(read);
            // The receiver is gone while the process stops.
            let _ = self.changed.send(Change { objects, noticed, may_be_loss });
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

fn publish(revisions: &watch::Sender<u64>, revision: u64) {
    revisions.send_if_modified(|last| std::mem::replace(last, revision) != revision);
}
