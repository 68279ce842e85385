//! The index as it is shared: who changes it, and who hears of its changes.

use crate::clock::Clock;
use crate::engine::Now;
use crate::index::endpoints::{AddressFamilies, SERVICE_NAME, SliceFacts};
use crate::index::order::Superseded;
use crate::index::remote::members::Member;
use crate::index::service_facts::{ServiceFacts, ServiceKind};
use crate::index::slice_table::SliceUpdate;
use crate::index::store::Index;
use crate::informers::remote::links::LinkedClients;
use crate::informers::watch::version;
use crate::kinds::{ObjectKey, ObjectRef, brief};
use k8s_openapi::api::core::v1::Service;
use k8s_openapi::api::discovery::v1::EndpointSlice;
use kube::api::{ListParams, ObjectList};
use kube::{Api, Client};
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
    /// Clients of the linked clusters.
    pub clients: LinkedClients,
    wanted: Arc<watch::Sender<u64>>,
}

impl SharedIndex {
    pub(crate) fn new() -> (Self, ChangedObjects) {
        let (changed, changes) = mpsc::unbounded_channel();
        let index = Arc::new(RwLock::new(Index::default()));
        let wanted = Arc::new(watch::Sender::new(0));
        let clients = LinkedClients::default();
        (Self { index, changed, clock: Clock::start(), clients, wanted }, changes)
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

    /// Reads a Service and its slices past the watches, as they are at this very moment, wherever they
    /// are, and takes them in.
    pub(crate) async fn confirm(
        &self,
        client: &Client,
        service: &ObjectKey,
        families: AddressFamilies,
    ) -> Result<(), String> {
        // What cannot be, and what we may not look at, is known as well as it can be.
        if !can_be(&service.name) || !self.read().watches(&service.namespace) {
            return Ok(());
        }
        let before = self.members_of(service);
        // Both at once: what a Service is decides where its endpoints are looked for, and hardly ever
        // changes.
        let (itself, endpoints) = tokio::join!(
            self.confirm_service(client, service),
            self.confirm_endpoints(client, service, before.as_deref(), families)
        );
        itself.and(endpoints)?;
        let after = self.members_of(service);
        if after == before {
            return Ok(());
        }
        self.confirm_endpoints(client, service, after.as_deref(), families).await
    }

    fn members_of(&self, service: &ObjectKey) -> Option<Box<[Member]>> {
        match &self.read().service(service)?.kind {
            ServiceKind::Elsewhere(members) => Some(members.clone()),
            ServiceKind::Slices | ServiceKind::ExternalName => None,
        }
    }

    async fn confirm_endpoints(
        &self,
        client: &Client,
        service: &ObjectKey,
        members: Option<&[Member]>,
        families: AddressFamilies,
    ) -> Result<(), String> {
        match members {
            Some(members) => {
                crate::informers::remote::confirm::confirm(self, client, service, members, families)
                    .await
            }
            None => self.confirm_slices(client, service, families).await,
        }
    }

    /// The same of a Service whose slices are here.
    pub(crate) async fn confirm_here(
        &self,
        client: &Client,
        service: &ObjectKey,
        families: AddressFamilies,
    ) -> Result<(), String> {
        let (itself, slices) = tokio::join!(
            self.confirm_service(client, service),
            self.confirm_slices(client, service, families)
        );
        itself.and(slices)
    }

    async fn confirm_service(&self, client: &Client, service: &ObjectKey) -> Result<(), String> {
        let (ticket, _) = self.read().service_tickets(service);
        let api: Api<Service> = Api::namespaced(client.clone(), &service.namespace);
        // A LIST, not a GET: its version says of when it is also where there is no such Service.
        let params = ListParams::default().fields(&format!("metadata.name={}", service.name));
        let list = api.list(&params).await.map_err(|error| brief(&error))?;
        let found = list.items.first().map(|found| (version(found), ServiceFacts::read(found)));
        let at = list_version(&list);
        self.take_in(|index| index.confirm_service(&ticket, service, found, at))
    }

    async fn confirm_slices(
        &self,
        client: &Client,
        service: &ObjectKey,
        families: AddressFamilies,
    ) -> Result<(), String> {
        let (_, ticket) = self.read().service_tickets(service);
        let api: Api<EndpointSlice> = Api::namespaced(client.clone(), &service.namespace);
        // No resourceVersion: the API server answers from what is committed, not from its cache.
        let params = ListParams::default().labels(&format!("{SERVICE_NAME}={}", service.name));
        let list = api.list(&params).await.map_err(|error| brief(&error))?;
        let slices = list
            .items
            .iter()
            .map(|slice| SliceUpdate {
                slice: ObjectKey::of(slice),
                version: version(slice),
                service: Some(service.clone()),
                facts: SliceFacts::read(slice, families),
            })
            .collect();
        let at = list_version(&list);
        self.take_in(|index| index.confirm_slices(&ticket, service, slices, at))
    }

    /// Changes the index by an answer to a request past the watch, unless that is void.
    pub(crate) fn take_in(
        &self,
        change: impl FnOnce(&mut Index) -> Result<Vec<ObjectRef>, Superseded>,
    ) -> Result<(), String> {
        let mut taken = Ok(());
        self.update(|index| {
            change(index).unwrap_or_else(|void| {
                taken = Err(void.to_string());
                vec![]
            })
        });
        taken
    }
}

/// The version that a LIST is of; 0 where it has none.
pub(crate) fn list_version<K: Clone>(list: &ObjectList<K>) -> u64 {
    let version = list.metadata.resource_version.as_deref();
    version.and_then(|version| version.parse().ok()).unwrap_or_default()
}

/// Whether a Service may have this name: another has no place in a selector.
fn can_be(name: &str) -> bool {
    let letter = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    !name.is_empty() && name.len() <= 63 && name.bytes().all(letter)
}
