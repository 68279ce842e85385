//! The informer of ReferenceGrants.

use crate::index::grants::GrantFacts;
use crate::index::order::Arrival;
use crate::index::resource::WatchedResource;
use crate::index::store::Index;
use crate::informers::discovery;
use crate::informers::list_watch::{config, list_watch_optional};
use crate::informers::source::{IfForbidden, Source};
use crate::informers::watch_scope::WatchScope;
use crate::kinds::partial::PartialObject;
use crate::kinds::route::GROUP;
use crate::kinds::{ObjectKey, ObjectRef};
use crate::telemetry::LastReceived;
use futures::Stream;
use kube::core::{ApiResource, GroupVersionKind};
use kube::runtime::watcher::{self, Event};
use kube::{Api, Client};

pub(super) struct GrantSource {
    client: Client,
    scope: WatchScope,
    api: Option<Api<PartialObject>>,
}

impl GrantSource {
    pub(super) fn new(client: &Client, scope: &WatchScope) -> Self {
        Self { client: client.clone(), scope: scope.clone(), api: None }
    }
}

impl Source for GrantSource {
    type Object = PartialObject;

    fn resource(&self) -> WatchedResource {
        WatchedResource::ReferenceGrants
    }
    fn if_forbidden(&self) -> IfForbidden {
        IfForbidden::Absent
    }
    async fn discover(&mut self) -> kube::Result<bool> {
        let served =
            discovery::served(&self.client, GROUP, self.resource().name(), &["v1", "v1beta1"])
                .await?;
        self.api = served.map(|version| {
            let gvk = GroupVersionKind::gvk(GROUP, version, "ReferenceGrant");
            self.scope.dynamic_api(&self.client, &ApiResource::from_gvk(&gvk))
        });
        Ok(self.api.is_some())
    }
    fn apply(&self, index: &mut Index, object: &PartialObject, _: Arrival<'_>) -> Vec<ObjectRef> {
        index.set_grant(ObjectKey::of(object), GrantFacts::read(object));
        vec![]
    }
    fn remove(&self, index: &mut Index, key: &ObjectKey) -> Vec<ObjectRef> {
        index.remove_grant(key);
        vec![]
    }
    fn keys(&self, index: &Index) -> Vec<ObjectKey> {
        index.grant_keys()
    }
    fn open(
        &self,
        received: LastReceived,
    ) -> impl Stream<Item = watcher::Result<Event<PartialObject>>> + Send {
        list_watch_optional(&self.api, config(), received)
    }
}
