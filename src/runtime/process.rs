//! What the parts of the process share.

use crate::index::shared_index::{ChangedObjects, SharedIndex};
use crate::informers::remote::clients::LinkedClients;
use crate::runtime::options::Options;
use crate::telemetry::Metrics;
use kube::Client;
use std::sync::Arc;

/// The options, the index and the metrics, and a client that no caller waits for.
pub(crate) struct Process {
    pub options: Options,
    pub client: Client,
    pub index: SharedIndex,
    /// Clients of the linked clusters.
    pub linked: LinkedClients,
    pub metrics: Arc<Metrics>,
}

impl Process {
    /// With an empty index, and what reports its changes.
    pub(crate) fn new(options: Options, client: Client) -> (Self, ChangedObjects) {
        let (index, changes) = SharedIndex::new();
        let (linked, metrics) = (LinkedClients::default(), Arc::new(Metrics::default()));
        (Self { options, client, index, linked, metrics }, changes)
    }
}
