//! The informers of this cluster: an implementation of [`Source`] each, and a line in [`watch_all`].

use crate::engine::Defaults;
use crate::index::cluster_settings::ClusterSettings;
use crate::index::endpoints::{AddressFamilies, SERVICE_NAME};
use crate::index::grants::GrantFacts;
use crate::index::managed_object::ManagedObject;
use crate::index::order::{Arrival, Order};
use crate::index::profile_facts::ProfileFacts;
use crate::index::resource::WatchedResource;
use crate::index::service_facts::ServiceFacts;
use crate::index::shared_index::SharedIndex;
use crate::index::store::Index;
use crate::informers::list_watch::config;
use crate::informers::list_watch::list_watch;
use crate::informers::resource_version;
use crate::informers::source::Source;
use crate::informers::watch::{watch, watch_each};
use crate::informers::watch_scope::WatchScope;
use crate::informers::{discovery, endpoint_slices};
use crate::kinds::route::GROUP;
use crate::kinds::selector::LabelSelector;
use crate::kinds::service_profile;
use crate::kinds::{Kind, ObjectKey, ObjectRef};
use futures::future::join_all;
use futures::{Stream, StreamExt};
use k8s_openapi::api::core::v1::{Namespace, Service};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use kube::core::{ApiResource, DynamicObject, GroupVersionKind};
use kube::runtime::watcher::{self, Event};
use kube::{Api, Client};
use std::time::Duration;

/// How often to look in which versions a kind is served.
const REDISCOVER: Duration = Duration::from_secs(20);

struct Objects {
    kind: Kind,
    client: Client,
    scope: WatchScope,
    api: Option<Api<DynamicObject>>,
    served: Option<&'static str>,
    selector: LabelSelector,
    defaults: Defaults,
}

struct OwnNamespace {
    api: Api<Namespace>,
    name: String,
}

struct Services {
    api: Api<Service>,
}

struct Slices {
    api: Api<EndpointSlice>,
    families: AddressFamilies,
}

struct Profiles {
    client: Client,
    api: Api<DynamicObject>,
}

struct Grants {
    client: Client,
    scope: WatchScope,
    api: Option<Api<DynamicObject>>,
}

/// What to watch, and how to read it.
pub(crate) struct WatchSettings {
    pub selector: LabelSelector,
    pub families: AddressFamilies,
    pub defaults: Defaults,
    /// The controller's own.
    pub namespace: String,
    /// Where objects are managed; empty: everywhere.
    pub namespaces: Vec<String>,
    /// Whether anybody asks for what only warnings need: the webhook does.
    pub warns: bool,
    /// Whether ServiceProfiles are written here.
    pub writes_profiles: bool,
}

/// Watches everything that decisions need, until dropped.
pub(crate) async fn watch_all(client: Client, watched: WatchSettings, shared: SharedIndex) {
    let WatchSettings {
        selector,
        families,
        defaults,
        namespace,
        namespaces,
        warns,
        writes_profiles,
    } = watched;
    shared.update(|index| {
        index.namespaces = namespaces.clone();
        index.writes_profiles = writes_profiles;
        vec![]
    });
    let objects = |kind: Kind| {
        let (client, selector) = (client.clone(), selector.clone());
        move |scope: &WatchScope| Objects {
            kind,
            client: client.clone(),
            scope: scope.clone(),
            api: None,
            served: None,
            selector: selector.clone(),
            defaults,
        }
    };
    let services = |scope: &WatchScope| Services { api: scope.api(&client) };
    let slices = |scope: &WatchScope| Slices { api: scope.api(&client), families };
    let profile = service_profile::api_resource();
    let profiles = |scope: &WatchScope| {
        let api = scope.dynamic_api(&client, &profile);
        Profiles { client: client.clone(), api }
    };
    let grants =
        |scope: &WatchScope| Grants { client: client.clone(), scope: scope.clone(), api: None };
    let own = OwnNamespace { api: Api::all(client.clone()), name: namespace };
    tokio::join!(
        join_all(Kind::ALL.map(|kind| watch_each(&namespaces, objects(kind), &shared))),
        watch_each(&namespaces, services, &shared),
        watch_each(&namespaces, slices, &shared),
        async {
            if warns || writes_profiles {
                watch_each(&namespaces, profiles, &shared).await;
            }
        },
        async {
            if warns {
                watch_each(&namespaces, grants, &shared).await;
            }
            std::future::pending::<()>().await;
        },
        watch(own, WatchScope::everything(), shared.clone())
    );
}

impl Source for Objects {
    type Object = DynamicObject;

    fn resource(&self) -> WatchedResource {
        WatchedResource::Objects(self.kind)
    }
    fn may_be_forbidden(&self) -> bool {
        // Where rights are older than this program the other kinds go on.
        true
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
            // One that is gone ends the watch by itself.
            if served.is_ok_and(|served| served.is_some() && served != self.served) {
                return;
            }
        }
    }
    fn apply(
        &self,
        index: &mut Index,
        object: &DynamicObject,
        arrival: Arrival<'_>,
    ) -> Vec<ObjectRef> {
        // Mostly our own write, whose answer came before the watch. In a LIST the same number may stand
        // for something else.
        let object_ref = ObjectRef::new(self.kind, ObjectKey::of(object));
        let watched = matches!(arrival, Arrival::Watched);
        if watched && index.has_version(&object_ref, &object.metadata) {
            return vec![];
        }
        // A change may be noticed before the LIST that it is part of has ended.
        index.set_served(self.kind, self.served);
        let managed = ManagedObject::read(self.kind, object, &self.defaults);
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
    fn listed(&self, index: &mut Index, _: &WatchScope, kind_exists: bool) {
        // One namespace may have looked a moment too early.
        if kind_exists || self.keys(index).is_empty() {
            index.set_served(self.kind, self.served.filter(|_| kind_exists));
        }
    }
    fn open(&self) -> impl Stream<Item = watcher::Result<Event<DynamicObject>>> + Send {
        watch_of(&self.api, config().labels(self.selector.as_str()))
    }
}

impl Source for Services {
    type Object = Service;

    fn resource(&self) -> WatchedResource {
        WatchedResource::Services
    }
    fn apply(&self, index: &mut Index, object: &Service, arrival: Arrival<'_>) -> Vec<ObjectRef> {
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
    fn open(&self) -> impl Stream<Item = watcher::Result<Event<Service>>> + Send {
        list_watch(self.api.clone(), config())
    }
}

impl Source for Slices {
    type Object = EndpointSlice;

    fn resource(&self) -> WatchedResource {
        WatchedResource::EndpointSlices
    }
    fn apply(
        &self,
        index: &mut Index,
        slice: &EndpointSlice,
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
    fn open(&self) -> impl Stream<Item = watcher::Result<Event<EndpointSlice>>> + Send {
        // Slices of no Service concern nobody.
        list_watch(self.api.clone(), config().labels(SERVICE_NAME))
    }
}

impl Source for Profiles {
    type Object = DynamicObject;

    fn resource(&self) -> WatchedResource {
        WatchedResource::ServiceProfiles
    }
    fn may_be_forbidden(&self) -> bool {
        true
    }
    async fn discover(&mut self) -> kube::Result<bool> {
        let ApiResource { group, version, plural, .. } = service_profile::api_resource();
        discovery::serves(&self.client, &group, &plural, &version).await
    }
    fn apply(
        &self,
        index: &mut Index,
        object: &DynamicObject,
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
    fn open(&self) -> impl Stream<Item = watcher::Result<Event<DynamicObject>>> + Send {
        list_watch(self.api.clone(), config())
    }
}

impl Source for Grants {
    type Object = DynamicObject;

    fn resource(&self) -> WatchedResource {
        WatchedResource::ReferenceGrants
    }
    fn may_be_forbidden(&self) -> bool {
        true
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
    fn apply(&self, index: &mut Index, object: &DynamicObject, _: Arrival<'_>) -> Vec<ObjectRef> {
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
    fn open(&self) -> impl Stream<Item = watcher::Result<Event<DynamicObject>>> + Send {
        watch_of(&self.api, config())
    }
}

impl Source for OwnNamespace {
    type Object = Namespace;

    fn resource(&self) -> WatchedResource {
        WatchedResource::OwnNamespace
    }
    fn may_be_forbidden(&self) -> bool {
        true
    }
    fn apply(&self, index: &mut Index, namespace: &Namespace, _: Arrival<'_>) -> Vec<ObjectRef> {
        index.set_cluster_wide(ClusterSettings::read(namespace))
    }
    fn remove(&self, index: &mut Index, _: &ObjectKey) -> Vec<ObjectRef> {
        index.set_cluster_wide(ClusterSettings::default())
    }
    fn keys(&self, _: &Index) -> Vec<ObjectKey> {
        vec![]
    }
    fn open(&self) -> impl Stream<Item = watcher::Result<Event<Namespace>>> + Send {
        list_watch(self.api.clone(), config().fields(&format!("metadata.name={}", self.name)))
    }
}

/// The watch of a kind that the cluster may have.
fn watch_of(
    api: &Option<Api<DynamicObject>>,
    config: watcher::Config,
) -> impl Stream<Item = watcher::Result<Event<DynamicObject>>> + Send + use<> {
    let there = futures::stream::iter(api.clone());
    there.flat_map(move |api| list_watch(api, config.clone()).boxed())
}
