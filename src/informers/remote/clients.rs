//! The clients of linked clusters, for requests beside their watches.

use kube::Client;
use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

/// The clients of the clusters that are linked.
#[derive(Clone, Default)]
pub(crate) struct LinkedClients(Arc<RwLock<HashMap<String, Client>>>);

impl LinkedClients {
    pub(crate) fn get(&self, cluster: &str) -> Option<Client> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).get(cluster).cloned()
    }

    pub(crate) fn set(&self, cluster: &str, client: Option<Client>) {
        let mut clients = self.0.write().unwrap_or_else(PoisonError::into_inner);
        match client {
            Some(client) => clients.insert(cluster.to_owned(), client),
            None => clients.remove(cluster),
        };
    }
}
