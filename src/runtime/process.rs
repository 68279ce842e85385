//! What the parts of the process share.

use crate::index::shared_index::{ChangedObjects, SharedIndex};
use crate::informers::remote::clients::LinkedClients;
use crate::leader_election::lease_annotation::LeaseAnnotation;
use crate::runtime::options::{Installation, Options};
use crate::telemetry::Metrics;
use kube::{Api, Client};
use std::sync::Arc;

/// The options, the index, the metrics, and a client for requests that are not urgent.
pub(crate) struct Process {
    pub options: Options,
    pub client: Client,
    pub index: SharedIndex,
    /// Clients of the linked clusters.
    pub linked: LinkedClients,
    pub metrics: Arc<Metrics>,
}

impl Process {
    /// With an empty index, and the receiver of its changes.
    pub(crate) fn new(options: Options, client: Client) -> (Self, ChangedObjects) {
        let (index, changes) = SharedIndex::new();
        let (linked, metrics) = (LinkedClients::default(), Arc::new(Metrics::default()));
        (Self { options, client, index, linked, metrics }, changes)
    }

    /// An annotation of the Lease, which this replica creates where there is no election.
    pub(crate) fn lease_annotation(&self, name: &'static str) -> LeaseAnnotation {
        let Installation { name: lease, namespace } = &self.options.installation;
        let api = Api::namespaced(self.client.clone(), namespace);
        let annotation = LeaseAnnotation::new(api, lease.clone(), name);
        if self.options.uses_lease { annotation } else { annotation.without_election() }
    }
}
