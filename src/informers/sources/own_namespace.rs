//! The informer of the own namespace, which has the cluster settings.

use crate::index::cluster_settings::ClusterSettings;
use crate::index::order::Arrival;
use crate::index::resource::WatchedResource;
use crate::index::store::Index;
use crate::informers::list_watch::{config, list_watch};
use crate::informers::source::{IfForbidden, Source};
use crate::kinds::{ObjectKey, ObjectRef};
use crate::telemetry::LastReceived;
use futures::Stream;
use k8s_openapi::api::core::v1::Namespace;
use kube::runtime::watcher::{self, Event};
use kube::{Api, Client};

pub(super) struct OwnNamespaceSource {
    api: Api<Namespace>,
    name: String,
}

impl OwnNamespaceSource {
    pub(super) fn new(client: &Client, name: &str) -> Self {
        Self { api: Api::all(client.clone()), name: name.to_owned() }
    }
}

impl Source for OwnNamespaceSource {
    type Object = Namespace;

    fn resource(&self) -> WatchedResource {
        WatchedResource::OwnNamespace
    }
    fn if_forbidden(&self) -> IfForbidden {
        IfForbidden::Absent
    }
    fn apply(&self, index: &mut Index, namespace: &Namespace, _: Arrival<'_>) -> Vec<ObjectRef> {
        index.set_cluster_wide(ClusterSettings::read(namespace, index.now.wall))
    }
    fn remove(&self, index: &mut Index, _: &ObjectKey) -> Vec<ObjectRef> {
        index.set_cluster_wide(ClusterSettings::default())
    }
    fn keys(&self, _: &Index) -> Vec<ObjectKey> {
        vec![]
    }
    fn open(
        &self,
        received: LastReceived,
    ) -> impl Stream<Item = watcher::Result<Event<Namespace>>> + Send {
        list_watch(
            self.api.clone(),
            config().fields(&format!("metadata.name={}", self.name)),
            received,
        )
    }
}
