//! What the parts of the process share.

use crate::index::shared_index::{ChangedObjects, SharedIndex};
use crate::runtime::options::Options;
use crate::telemetry::Metrics;
use kube::Client;
use std::sync::Arc;

/// The options, the index and the metrics, and a client that no caller waits for.
pub(crate) struct Process {
    pub options: Options,
    pub client: Client,
    pub index: SharedIndex,
    pub metrics: Arc<Metrics>,
}

impl Process {
    /// With an empty index, and what reports its changes.
    pub(crate) fn new(options: Options, client: Client) -> (Self, ChangedObjects) {
        let (index, changes) = SharedIndex::new();
        (Self { options, client, index, metrics: Arc::new(Metrics::default()) }, changes)
    }
}
