//! Of faults that take the same, one at a time.

use crate::plan::Lane;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::{Mutex as Turn, OwnedMutexGuard};

/// A turn for each lane.
#[derive(Debug, Default)]
pub(crate) struct Lanes(Mutex<BTreeMap<Lane, Arc<Turn<()>>>>);

impl Lanes {
    /// Waits until nobody else has it.
    pub(crate) async fn take(&self, lane: Lane) -> OwnedMutexGuard<()> {
        let turn = {
            let mut lanes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(lanes.entry(lane).or_default())
        };
        turn.lock_owned().await
    }
}
