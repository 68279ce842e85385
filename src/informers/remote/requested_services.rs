//! The Services that are requested of a linked cluster: those that managed objects depend on.

use crate::index::shared_index::SharedIndex;
use crate::kinds::ObjectKey;
use std::collections::BTreeSet;
use std::time::Duration;
use tokio::sync::watch;

/// Changes come in bursts, as objects are applied or listed.
const BURST: Duration = Duration::from_millis(50);

/// Follows the Services that are requested of one cluster.
pub(crate) struct RequestedServices<'a> {
    index: &'a SharedIndex,
    cluster: &'a str,
    revision: watch::Receiver<u64>,
}

impl<'a> RequestedServices<'a> {
    pub(crate) fn new(index: &'a SharedIndex, cluster: &'a str) -> Self {
        Self { index, cluster, revision: index.remote_revision() }
    }

    /// The Services that are requested, once there are any; `idle` is called while there are none.
    /// None while the process stops.
    pub(crate) async fn next(&mut self, mut idle: impl FnMut()) -> Option<BTreeSet<ObjectKey>> {
        loop {
            self.revision.borrow_and_update();
            let requested = self.now();
            if !requested.is_empty() {
                return Some(requested);
            }
            idle();
            self.revision.changed().await.ok()?;
            tokio::time::sleep(BURST).await;
        }
    }

    /// Resolves when others than these are requested.
    pub(crate) async fn changed_from(&mut self, before: &BTreeSet<ObjectKey>) {
        loop {
            if self.revision.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
            if self.now() != *before {
                return;
            }
        }
    }

    /// Waits for the end of a burst of changes.
    pub(crate) async fn debounce(&self) {
        tokio::time::sleep(BURST).await;
    }

    fn now(&self) -> BTreeSet<ObjectKey> {
        self.index.read().requested_of(self.cluster)
    }
}
