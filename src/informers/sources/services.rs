//! The informer of Services.

use crate::index::order::{Arrival, Order};
use crate::index::resource::WatchedResource;
use crate::index::service_facts::ServiceFacts;
use crate::index::store::Index;
use crate::informers::list_watch::{config, list_watch};
use crate::informers::resource_version;
use crate::informers::source::Source;
use crate::informers::watch_scope::WatchScope;
use crate::kinds::partial::PartialService;
use crate::kinds::{ObjectKey, ObjectRef};
use crate::telemetry::LastReceived;
use futures::Stream;
use kube::runtime::watcher::{self, Event};
use kube::{Api, Client};

pub(crate) struct ServiceSource {
    api: Api<PartialService>,
}

impl ServiceSource {
    pub(crate) fn new(client: &Client, scope: &WatchScope) -> Self {
        Self { api: scope.api(client) }
    }
}

impl Source for ServiceSource {
    type Object = PartialService;

    fn resource(&self) -> WatchedResource {
        WatchedResource::Services
    }
    fn apply(
        &self,
        index: &mut Index,
        object: &PartialService,
        arrival: Arrival<'_>,
    ) -> Vec<ObjectRef> {
        let (key, facts) = (ObjectKey::of(object), ServiceFacts::read(object));
        index.enter_service(key, resource_version::of_object(object), facts, arrival)
    }
    fn order<'a>(&self, index: &'a mut Index) -> Option<&'a mut Order> {
        Some(&mut index.service_order)
    }
    fn remove(&self, index: &mut Index, key: &ObjectKey) -> Vec<ObjectRef> {
        index.remove_service(key)
    }
    fn keys(&self, index: &Index) -> Vec<ObjectKey> {
        index.service_keys()
    }
    fn open(
        &self,
        received: LastReceived,
    ) -> impl Stream<Item = watcher::Result<Event<PartialService>>> + Send {
        list_watch(self.api.clone(), config(), received)
    }
}
