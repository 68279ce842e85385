//! The informer of the namespaces in which objects are managed: an annotation of theirs is a default.

use crate::index::namespace_facts::NamespaceProtection;
use crate::index::order::Arrival;
use crate::index::resource::WatchedResource;
use crate::index::store::Index;
use crate::informers::list_watch::{config, list_watch};
use crate::informers::source::Source;
use crate::informers::watch_scope::WatchScope;
use crate::kinds::partial::PartialNamespace;
use crate::kinds::{ObjectKey, ObjectRef};
use futures::Stream;
use kube::runtime::watcher::{self, Event};
use kube::{Api, Client, ResourceExt};

pub(super) struct NamespaceSource {
    api: Api<PartialNamespace>,
    /// The only one of this scope; none: all.
    name: Option<String>,
}

impl NamespaceSource {
    pub(super) fn new(client: &Client, scope: &WatchScope) -> Self {
        let name = scope.namespace().map(str::to_owned);
        Self { api: Api::all(client.clone()), name }
    }
}

impl Source for NamespaceSource {
    type Object = PartialNamespace;

    fn resource(&self) -> WatchedResource {
        WatchedResource::Namespaces
    }
    fn may_be_forbidden(&self) -> bool {
        // The ClusterRole may be older than this program.
        true
    }
    fn apply(
        &self,
        index: &mut Index,
        namespace: &PartialNamespace,
        _: Arrival<'_>,
    ) -> Vec<ObjectRef> {
        index.set_namespace(&namespace.name_any(), NamespaceProtection::read(namespace))
    }
    fn remove(&self, index: &mut Index, key: &ObjectKey) -> Vec<ObjectRef> {
        index.set_namespace(&key.name, None)
    }
    fn keys(&self, index: &Index) -> Vec<ObjectKey> {
        // One that goes takes its objects with it: in a scope of its own it need not be found gone.
        index.namespace_names().map(|name| ObjectKey::new("", name)).collect()
    }
    fn open(&self) -> impl Stream<Item = watcher::Result<Event<PartialNamespace>>> + Send {
        let config = match &self.name {
            Some(name) => config().fields(&format!("metadata.name={name}")),
            None => config(),
        };
        list_watch(self.api.clone(), config)
    }
}
