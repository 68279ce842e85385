//! The informer of ServiceProfiles.

use crate::index::order::{Arrival, Order};
use crate::index::profile_facts::ProfileFacts;
use crate::index::resource::WatchedResource;
use crate::index::store::Index;
use crate::informers::discovery;
use crate::informers::list_watch::{config, list_watch};
use crate::informers::source::{IfForbidden, Source};
use crate::informers::watch_scope::WatchScope;
use crate::kinds::partial::PartialObject;
use crate::kinds::service_profile;
use crate::kinds::{ObjectKey, ObjectRef};
use crate::telemetry::LastReceived;
use futures::Stream;
use kube::core::ApiResource;
use kube::runtime::watcher::{self, Event};
use kube::{Api, Client};

pub(super) struct ProfileSource {
    client: Client,
    api: Api<PartialObject>,
}

impl ProfileSource {
    pub(super) fn new(client: &Client, scope: &WatchScope) -> Self {
        let api = scope.dynamic_api(client, &service_profile::api_resource());
        Self { client: client.clone(), api }
    }
}

impl Source for ProfileSource {
    type Object = PartialObject;

    fn resource(&self) -> WatchedResource {
        WatchedResource::ServiceProfiles
    }
    fn if_forbidden(&self) -> IfForbidden {
        IfForbidden::Absent
    }
    async fn discover(&mut self) -> kube::Result<bool> {
        let ApiResource { group, version, plural, .. } = service_profile::api_resource();
        discovery::serves(&self.client, &group, &plural, &version).await
    }
    fn apply(
        &self,
        index: &mut Index,
        object: &PartialObject,
        arrival: Arrival<'_>,
    ) -> Vec<ObjectRef> {
        index.enter_profile(ObjectKey::of(object), ProfileFacts::read(object), arrival)
    }
    fn order<'a>(&self, index: &'a mut Index) -> Option<&'a mut Order> {
        Some(&mut index.profiles.order)
    }
    fn remove(&self, index: &mut Index, key: &ObjectKey) -> Vec<ObjectRef> {
        index.remove_profile(key)
    }
    fn keys(&self, index: &Index) -> Vec<ObjectKey> {
        index.profiles.keys().cloned().collect()
    }
    fn listed(&self, index: &mut Index, _: &WatchScope, kind_exists: bool) {
        index.no_profiles = !kind_exists;
    }
    fn open(
        &self,
        received: LastReceived,
    ) -> impl Stream<Item = watcher::Result<Event<PartialObject>>> + Send {
        list_watch(self.api.clone(), config(), received)
    }
}
