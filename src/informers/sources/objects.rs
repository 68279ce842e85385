//! The informer of the failover objects of one kind.

use crate::engine::Defaults;
use crate::index::managed_object::ManagedObject;
use crate::index::order::{Arrival, Order};
use crate::index::resource::WatchedResource;
use crate::index::store::Index;
use crate::informers::discovery;
use crate::informers::list_watch::{config, list_watch_optional};
use crate::informers::source::{IfForbidden, Source};
use crate::informers::watch_scope::WatchScope;
use crate::kinds::partial::PartialObject;
use crate::kinds::selector::LabelSelector;
use crate::kinds::{Kind, ObjectKey, ObjectRef};
use crate::telemetry::LastReceived;
use futures::Stream;
use kube::core::DynamicObject;
use kube::runtime::watcher::{self, Event};
use kube::{Api, Client};
use std::time::Duration;

/// How often to look in which versions a kind is served.
const REDISCOVER: Duration = Duration::from_secs(20);

pub(crate) struct ObjectSource {
    kind: Kind,
    client: Client,
    scope: WatchScope,
    api: Option<Api<PartialObject>>,
    served: Option<&'static str>,
    selector: LabelSelector,
    defaults: Defaults,
}

impl ObjectSource {
    pub(crate) fn new(
        kind: Kind,
        client: &Client,
        scope: &WatchScope,
        selector: &LabelSelector,
        defaults: Defaults,
    ) -> Self {
        Self {
            kind,
            client: client.clone(),
            scope: scope.clone(),
            api: None,
            served: None,
            selector: selector.clone(),
            defaults,
        }
    }
}

impl Source for ObjectSource {
    type Object = PartialObject;

    fn resource(&self) -> WatchedResource {
        WatchedResource::Objects(self.kind)
    }
    fn if_forbidden(&self) -> IfForbidden {
        // Where the ClusterRole is older than this program, the other kinds go on.
        IfForbidden::Absent
    }
    async fn discover(&mut self) -> kube::Result<bool> {
        self.served = discovery::served_kind(&self.client, self.kind).await?;
        let resource = self.served.map(|version| self.kind.api_resource(version));
        self.api = resource.map(|resource| self.scope.dynamic_api(&self.client, &resource));
        Ok(self.api.is_some())
    }
    async fn outdated(&self) {
        loop {
            tokio::time::sleep(REDISCOVER).await;
            let served = discovery::served_kind(&self.client, self.kind).await;
            // A version that is gone ends the watch by itself.
            if served.is_ok_and(|served| served.is_some() && served != self.served) {
                return;
            }
        }
    }
    fn apply(
        &self,
        index: &mut Index,
        object: &PartialObject,
        arrival: Arrival<'_>,
    ) -> Vec<ObjectRef> {
        // Mostly our own write, whose answer came before the event. In a LIST the same version may be of
        // another history.
        let object_ref = ObjectRef::new(self.kind, ObjectKey::of(object));
        let watched = matches!(arrival, Arrival::Watched);
        if watched && index.has_version(&object_ref, &object.metadata) {
            return vec![];
        }
        // An object may be reconciled before the LIST that has it is complete.
        index.set_served(self.kind, self.served);
        let managed = ManagedObject::read(self.kind, object, &self.defaults);
        #[cfg(feature = "planted-faults")]
        let managed = match arrival {
            Arrival::Listed if crate::planted_faults::forgets_state() => managed.without_state(),
            _ => managed,
        };
        index.enter_object(object_ref, managed, arrival)
    }
    fn order<'a>(&self, index: &'a mut Index) -> Option<&'a mut Order> {
        Some(index.order_of(self.kind))
    }
    fn remove(&self, index: &mut Index, key: &ObjectKey) -> Vec<ObjectRef> {
        index.remove_object(&ObjectRef::new(self.kind, key.clone()))
    }
    fn keys(&self, index: &Index) -> Vec<ObjectKey> {
        let ours = index.objects().filter(|(object, _)| object.kind == self.kind);
        ours.map(|(object, _)| object.key.clone()).collect()
    }
    fn managed<'a>(&self, object: &'a PartialObject) -> Option<(Kind, &'a DynamicObject)> {
        Some((self.kind, object))
    }
    fn listed(&self, index: &mut Index, _: &WatchScope, kind_exists: bool) {
        // One of several namespaces may have looked a moment too early.
        if kind_exists || self.keys(index).is_empty() {
            index.set_served(self.kind, self.served.filter(|_| kind_exists));
        }
    }
    fn open(
        &self,
        received: LastReceived,
    ) -> impl Stream<Item = watcher::Result<Event<PartialObject>>> + Send {
        list_watch_optional(&self.api, config().labels(self.selector.as_str()), received)
    }
}
