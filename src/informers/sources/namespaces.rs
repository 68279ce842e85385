//! The informer of the namespaces in which objects are managed: an annotation of theirs is a default, a
//! label guards their pods.

use crate::index::namespace_facts::NamespaceProtection;
use crate::index::order::Arrival;
use crate::index::resource::WatchedResource;
use crate::index::store::Index;
use crate::informers::list_watch::{config, list_watch};
use crate::informers::source::{IfForbidden, Source};
use crate::informers::watch_scope::WatchScope;
use crate::kinds::partial::PartialNamespace;
use crate::kinds::pods::GUARD_LABEL;
use crate::kinds::{ObjectKey, ObjectRef};
use crate::telemetry::LastReceived;
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
    fn if_forbidden(&self) -> IfForbidden {
        // The ClusterRole may be older than this program.
        IfForbidden::AsBefore
    }
    fn forbidden(&self, index: &mut Index, scope: &WatchScope) {
        index.namespaces_forbidden(scope.namespace());
    }
    fn listed(&self, index: &mut Index, scope: &WatchScope, _kind_exists: bool) {
        index.namespaces_listed(scope.namespace());
    }
    fn apply(
        &self,
        index: &mut Index,
        namespace: &PartialNamespace,
        _: Arrival<'_>,
    ) -> Vec<ObjectRef> {
        let name = namespace.name_any();
        let (label, value) = GUARD_LABEL;
        let is_guarded = namespace.labels().get(label).is_some_and(|found| found == value);
        index.set_guarded_namespace(&name, is_guarded);
        index.set_namespace(&name, NamespaceProtection::read(namespace))
    }
    fn remove(&self, index: &mut Index, key: &ObjectKey) -> Vec<ObjectRef> {
        index.set_guarded_namespace(&key.name, false);
        index.set_namespace(&key.name, None)
    }
    fn keys(&self, index: &Index) -> Vec<ObjectKey> {
        // One that goes takes its objects with it: in a scope of its own it need not be found gone.
        let protected = index.namespace_names().map(|name| ObjectKey::new("", name));
        protected.chain(index.guarded_namespaces().map(|name| ObjectKey::new("", name))).collect()
    }
    fn open(
        &self,
        received: LastReceived,
    ) -> impl Stream<Item = watcher::Result<Event<PartialNamespace>>> + Send {
        let config = match &self.name {
            Some(name) => config().fields(&format!("metadata.name={name}")),
            None => config(),
        };
        list_watch(self.api.clone(), config, received)
    }
}
