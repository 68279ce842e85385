//! The index as it is shared: who changes it, and who hears of its changes.

use super::clock::Clock;
use super::endpoints::{Families, SERVICE_NAME, SliceFacts};
use super::index::Index;
use super::remote::{self, Clients};
use super::services::ServiceKind;
use super::slices::ToldSlice;
use super::watch::version;
use crate::failover::Now;
use crate::resources::{ObjectKey, ObjectRef, brief};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use kube::api::ListParams;
use kube::{Api, Client};
use std::sync::{Arc, RwLock, RwLockReadGuard, RwLockWriteGuard};
use tokio::sync::{mpsc, watch};

/// Objects to decide anew, as each event concerns them.
pub type Changes = mpsc::UnboundedReceiver<Vec<ObjectRef>>;

/// The index, and who hears of its changes. Locks are held for lookups only, never across I/O.
#[derive(Clone)]
pub struct Shared {
    index: Arc<RwLock<Index>>,
    changed: mpsc::UnboundedSender<Vec<ObjectRef>>,
    clock: Clock,
    /// Clients of the linked clusters.
    pub clients: Clients,
    wanted: Arc<watch::Sender<u64>>,
}

impl Shared {
    pub fn new() -> (Self, Changes) {
        let (changed, changes) = mpsc::unbounded_channel();
        let index = Arc::new(RwLock::new(Index::default()));
        let wanted = Arc::new(watch::Sender::new(0));
        let clients = Clients::default();
        (Self { index, changed, clock: Clock::start(), clients, wanted }, changes)
    }

    /// The time that the index goes by.
    pub fn now(&self) -> Now {
        self.clock.now()
    }

    pub fn read(&self) -> RwLockReadGuard<'_, Index> {
        // A poisoned lock still guards whole facts: each update is made by calls that do not panic
        // half way.
        self.index.read().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// Hears of it when what is asked of linked clusters may have changed.
    pub fn wanted(&self) -> watch::Receiver<u64> {
        self.wanted.subscribe()
    }

    fn write(&self) -> RwLockWriteGuard<'_, Index> {
        self.index.write().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// Changes the index, and hands on what the change concerns.
    pub fn update(&self, change: impl FnOnce(&mut Index) -> Vec<ObjectRef>) {
        let affected = {
            let mut index = self.write();
            index.now = self.clock.now();
            let affected = change(&mut index);
            let revision = index.remote.revision();
            self.wanted.send_if_modified(|last| std::mem::replace(last, revision) != revision);
            affected
        };
        if !affected.is_empty() {
            // Nobody listens while the program stops.
            let _ = self.changed.send(affected);
        }
    }

    /// Reads a Service's slices past the watch, as they are at this very moment, wherever they are,
    /// and takes them in.
    pub async fn confirm(
        &self,
        client: &Client,
        service: &ObjectKey,
        families: Families,
    ) -> Result<(), String> {
        let facts = self.read().service(service).cloned();
        match facts.map(|facts| facts.kind) {
            Some(ServiceKind::Elsewhere(members)) => {
                remote::confirm(self, client, service, &members, families).await
            }
            _ => {
                let asked = self.confirm_here(client, service, families).await;
                asked.map_err(|error| brief(&error))
            }
        }
    }

    /// The same of a Service whose slices are here.
    pub(super) async fn confirm_here(
        &self,
        client: &Client,
        service: &ObjectKey,
        families: Families,
    ) -> kube::Result<()> {
        let api: Api<EndpointSlice> = Api::namespaced(client.clone(), &service.namespace);
        // No resourceVersion: the API server answers from what is committed, not from its cache.
        let params = ListParams::default().labels(&format!("{SERVICE_NAME}={}", service.name));
        let list = api.list(&params).await?;
        let listed_at = list.metadata.resource_version.as_deref();
        let listed_at = listed_at.and_then(|v| v.parse().ok()).unwrap_or_default();
        let slices = list
            .items
            .iter()
            .map(|slice| ToldSlice {
                slice: ObjectKey::of(slice),
                version: version(slice),
                service: Some(service.clone()),
                facts: SliceFacts::read(slice, families),
            })
            .collect();
        self.update(|index| index.set_slices_of(service, slices, listed_at));
        Ok(())
    }
}
