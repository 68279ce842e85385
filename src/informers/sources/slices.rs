//! The informer of EndpointSlices.

use crate::index::endpoints::{AddressFamilies, SERVICE_NAME};
use crate::index::order::{Arrival, Order};
use crate::index::resource::WatchedResource;
use crate::index::store::Index;
use crate::informers::endpoint_slices;
use crate::informers::list_watch::{config, list_watch};
use crate::informers::source::Source;
use crate::informers::watch_scope::WatchScope;
use crate::kinds::partial::PartialSlice;
use crate::kinds::{ObjectKey, ObjectRef};
use crate::telemetry::LastReceived;
use futures::Stream;
use kube::runtime::watcher::{self, Event};
use kube::{Api, Client};

pub(crate) struct SliceSource {
    api: Api<PartialSlice>,
    families: AddressFamilies,
}

impl SliceSource {
    pub(crate) fn new(client: &Client, scope: &WatchScope, families: AddressFamilies) -> Self {
        Self { api: scope.api(client), families }
    }
}

impl Source for SliceSource {
    type Object = PartialSlice;

    fn resource(&self) -> WatchedResource {
        WatchedResource::EndpointSlices
    }
    fn apply(
        &self,
        index: &mut Index,
        slice: &PartialSlice,
        arrival: Arrival<'_>,
    ) -> Vec<ObjectRef> {
        let update = endpoint_slices::read(slice, self.families);
        index.enter_slice(update, arrival)
    }
    fn order<'a>(&self, index: &'a mut Index) -> Option<&'a mut Order> {
        Some(&mut index.slices.order)
    }
    fn remove(&self, index: &mut Index, key: &ObjectKey) -> Vec<ObjectRef> {
        index.remove_slice(key)
    }
    fn keys(&self, index: &Index) -> Vec<ObjectKey> {
        index.slice_keys()
    }
    fn open(
        &self,
        received: LastReceived,
    ) -> impl Stream<Item = watcher::Result<Event<PartialSlice>>> + Send {
        // Only slices of a Service.
        list_watch(self.api.clone(), config().labels(SERVICE_NAME), received)
    }
}
