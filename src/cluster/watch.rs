//! The watches: Kubernetes' events become facts in the index, and the objects they concern are
//! handed on at once.

use super::discovery;
use super::endpoints::{Families, SERVICE_NAME, SliceFacts};
use super::grants::GrantFacts;
use super::index::{Index, Synced};
use super::managed::Managed;
use super::namespace::ClusterWide;
use super::part::Part;
use super::profiles::ProfileFacts;
use super::services::ServiceFacts;
use super::shared::Shared;
use crate::failover::Defaults;
use crate::resources::route::GROUP;
use crate::resources::selector::LabelSelector;
use crate::resources::service_profile;
use crate::resources::{Kind, ObjectKey, ObjectRef};
use futures::future::join_all;
use futures::{Stream, StreamExt};
use k8s_openapi::api::core::v1::{Namespace, Service};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use kube::core::{ApiResource, DynamicObject, GroupVersionKind};
use kube::runtime::watcher::{self, Event, watcher};
use kube::{Api, Client, Resource, ResourceExt};
use std::collections::HashSet;
use std::fmt;
use std::pin::pin;
use std::time::{Duration, Instant};

/// A kind of facts: where they come from, and how they enter the index.
pub trait Source: Send + 'static {
    type Object: Clone + fmt::Debug + ResourceExt + Send + 'static;
    /// Whether a LIST that is forbidden counts as empty: what people may do without.
    const MAY_BE_FORBIDDEN: bool = false;

    /// For logs and metrics: `services`.
    fn name(&self) -> &'static str;
    fn apply(&self, index: &mut Index, object: &Self::Object) -> Vec<ObjectRef>;
    fn remove(&self, index: &mut Index, key: &ObjectKey) -> Vec<ObjectRef>;
    fn keys(&self, index: &Index) -> Vec<ObjectKey>;
    fn synced<'a>(&self, synced: &'a mut Synced) -> &'a mut bool;
    fn open(&self) -> impl Stream<Item = watcher::Result<Event<Self::Object>>> + Send;
    /// Looks whether the cluster has such a kind, and in which version.
    fn discover(&mut self) -> impl Future<Output = kube::Result<bool>> + Send {
        std::future::ready(Ok(true))
    }
    /// A LIST of this part is complete, or there is no such kind.
    fn listed(&self, _: &mut Index, _: &Part, _kind_exists: bool) {}
}

/// A watch that says nothing for so long ends by itself, at the API server's side; one that does
/// not even do that is a connection that died, and is found by `SILENCE`.
const RENEWED: u32 = 25;

/// How long an API server may be silent before a watch is begun anew: a cache is never older than
/// this. For the client's read timeout.
pub const SILENCE: Duration = Duration::from_secs(RENEWED as u64 + 4);

pub(super) fn config() -> watcher::Config {
    watcher::Config::default().timeout(RENEWED)
}

struct Objects {
    kind: Kind,
    client: Client,
    part: Part,
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
    families: Families,
}

struct Profiles {
    api: Api<DynamicObject>,
}

struct Grants {
    client: Client,
    part: Part,
    api: Option<Api<DynamicObject>>,
}

/// What to watch, and how to read it.
pub struct Watched {
    pub selector: LabelSelector,
    pub families: Families,
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
pub async fn watch_all(client: Client, watched: Watched, shared: Shared) {
    let Watched { selector, families, defaults, namespace, namespaces, warns, writes_profiles } =
        watched;
    shared.update(|index| {
        index.namespaces = namespaces.clone();
        index.writes_profiles = writes_profiles;
        vec![]
    });
    let objects = |kind: Kind| {
        let (client, selector) = (client.clone(), selector.clone());
        move |part: &Part| Objects {
            kind,
            client: client.clone(),
            part: part.clone(),
            api: None,
            served: None,
            selector: selector.clone(),
            defaults,
        }
    };
    let services = |part: &Part| Services { api: part.api(&client) };
    let slices = |part: &Part| Slices { api: part.api(&client), families };
    let profile = service_profile::api_resource();
    let profiles = |part: &Part| Profiles { api: part.dynamic_api(&client, &profile) };
    let grants = |part: &Part| Grants { client: client.clone(), part: part.clone(), api: None };
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
        watch(own, Part::everything(), shared.clone())
    );
}

/// Watches a kind in each of the namespaces on its own; without any, in the whole cluster.
async fn watch_each<S: Source>(
    namespaces: &[String],
    source: impl Fn(&Part) -> S,
    shared: &Shared,
) {
    let parts = Part::each(namespaces).into_iter();
    join_all(parts.map(|part| watch(source(&part), part, shared.clone()))).await;
}

/// How long to wait after a failed watch: short, since nothing is written meanwhile.
const RETRY: [Duration; 5] = [
    Duration::from_millis(100),
    Duration::from_millis(250),
    Duration::from_millis(500),
    Duration::from_secs(1),
    Duration::from_secs(2),
];

/// How often to look for a kind that the cluster does not have.
const ABSENT: Duration = Duration::from_secs(5);

/// Why a watch ended.
enum Ended {
    NoSuchKind,
    Forbidden,
    Failed(String),
}

impl From<watcher::Error> for Ended {
    fn from(error: watcher::Error) -> Self {
        match &error {
            watcher::Error::InitialListFailed(kube::Error::Api(status)) => match status.code {
                403 => Self::Forbidden,
                404 => Self::NoSuchKind,
                _ => Self::Failed(error.to_string()),
            },
            _ => Self::Failed(error.to_string()),
        }
    }
}

impl fmt::Display for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoSuchKind => "the cluster has no such kind",
            Self::Forbidden => "it may not be read",
            Self::Failed(why) => why,
        })
    }
}

/// A watch that has lived for so long works.
const LIVED: Duration = Duration::from_secs(5);

async fn watch<S: Source>(mut source: S, part: Part, shared: Shared) {
    let (mut failures, mut was_absent) = (0, false);
    let mut whole: Option<Instant> = None;
    let mut said_absent = false;
    let mut said_forbidden = false;
    loop {
        let mut listed = HashSet::new();
        let ended = match source.discover().await {
            Ok(false) => Ended::NoSuchKind,
            // What was not there a moment ago is looked for again: nothing that is known is in doubt.
            Err(_) if said_absent => Ended::NoSuchKind,
            Err(error) => Ended::Failed(error.to_string()),
            Ok(true) => {
                let mut events = pin!(source.open());
                loop {
                    match events.next().await {
                        Some(Ok(event)) => {
                            if matches!(event, Event::InitDone) {
                                whole = Some(Instant::now());
                                said_absent = false;
                                said_forbidden = false;
                            }
                            handle(&source, &part, &shared, &mut listed, event);
                        }
                        Some(Err(error)) => break Ended::from(error),
                        None => break Ended::Failed("it ended".into()),
                    }
                }
            }
        };
        // A LIST that works beside a watch that does not must not become a loop of LISTs.
        if whole.take().is_some_and(|whole| whole.elapsed() > LIVED) {
            failures = 0;
        }
        // After any interruption the facts are old until they have been listed again: nothing is
        // written from them. Beginning anew says so also where the watch could be resumed, since a
        // resumed watch of a quiet kind gives no sign of life.
        match (ended, part.namespace()) {
            (Ended::Forbidden, _) if S::MAY_BE_FORBIDDEN => {
                if !std::mem::replace(&mut said_forbidden, true) {
                    tracing::warn!(
                        "{} may not be read: what is said there has no effect",
                        source.name()
                    );
                }
                replace_all(&source, &shared, &part, &HashSet::new(), true);
            }
            (Ended::Forbidden, Some(namespace)) => {
                if !std::mem::replace(&mut said_forbidden, true) {
                    tracing::warn!(
                        namespace,
                        "{} may not be read: nothing fails over in this namespace; is it gone, or \
                         without its RoleBinding?",
                        source.name()
                    );
                }
                shared.update(|index| {
                    index.forbidden.note(namespace, source.name(), true);
                    vec![]
                });
                replace_all(&source, &shared, &part, &HashSet::new(), true);
            }
            (Ended::NoSuchKind, _) => {
                if !std::mem::replace(&mut said_absent, true) {
                    tracing::info!("no {} in this cluster: looking again", source.name());
                }
                was_absent = true;
                readable(&source, &shared, &part);
                replace_all(&source, &shared, &part, &HashSet::new(), false);
            }
            (ended, _) => {
                shared.update(|index| {
                    *source.synced(&mut index.synced) = part.is_whole(false);
                    vec![]
                });
                tracing::warn!(kind = source.name(), %ended, "watch failed; listing anew");
            }
        }
        let absent = std::mem::take(&mut was_absent);
        let wait = if absent { ABSENT } else { RETRY[failures.min(RETRY.len() - 1)] };
        tokio::time::sleep(wait).await;
        failures += usize::from(!absent);
    }
}

fn handle<S: Source>(
    source: &S,
    part: &Part,
    shared: &Shared,
    listed: &mut HashSet<ObjectKey>,
    event: Event<S::Object>,
) {
    match event {
        Event::Init => listed.clear(),
        Event::InitApply(object) => {
            listed.insert(ObjectKey::of(&object));
            shared.update(|index| source.apply(index, &object));
        }
        Event::InitDone => {
            tracing::debug!(kind = source.name(), count = listed.len(), "listed");
            readable(source, shared, part);
            replace_all(source, shared, part, &std::mem::take(listed), true);
        }
        Event::Apply(object) => shared.update(|index| source.apply(index, &object)),
        Event::Delete(object) => {
            shared.update(|index| source.remove(index, &ObjectKey::of(&object)));
        }
    }
}

/// A kind may be read here, perhaps again: then everything here is decided anew.
fn readable<S: Source>(source: &S, shared: &Shared, part: &Part) {
    let Some(namespace) = part.namespace() else { return };
    shared.update(|index| {
        let news = index.forbidden.note(namespace, source.name(), false);
        if news { index.object_refs() } else { vec![] }
    });
}

/// Removes what a LIST no longer has, and marks the kind as whole. Everything is decided anew:
/// what changed while nothing could be written has been heard and put aside.
fn replace_all<S: Source>(
    source: &S,
    shared: &Shared,
    part: &Part,
    listed: &HashSet<ObjectKey>,
    kind_exists: bool,
) {
    shared.update(|index| {
        let here = source.keys(index).into_iter().filter(|key| part.covers(key));
        let gone: Vec<_> = here.filter(|key| !listed.contains(key)).collect();
        for key in &gone {
            source.remove(index, key);
        }
        let no_profiles = index.no_profiles;
        source.listed(index, part, kind_exists);
        // Where there are any, they are written: also the first one.
        let same_kinds = index.no_profiles == no_profiles;
        let was = std::mem::replace(source.synced(&mut index.synced), part.is_whole(true));
        let nothing_new = was && same_kinds && gone.is_empty() && listed.is_empty();
        if nothing_new { vec![] } else { index.object_refs() }
    });
}

impl Source for Objects {
    type Object = DynamicObject;

    fn name(&self) -> &'static str {
        self.kind.plural()
    }
    async fn discover(&mut self) -> kube::Result<bool> {
        self.served = discovery::served_kind(&self.client, self.kind).await?;
        let resource = self.served.map(|version| self.kind.api_resource(version));
        self.api = resource.map(|resource| self.part.dynamic_api(&self.client, &resource));
        Ok(self.api.is_some())
    }
    fn apply(&self, index: &mut Index, object: &DynamicObject) -> Vec<ObjectRef> {
        // Mostly our own write, which told its outcome before the watch does.
        let object_ref = ObjectRef::new(self.kind, ObjectKey::of(object));
        if index.has_version(&object_ref, &object.metadata) {
            return vec![];
        }
        // A change may be noticed before the LIST that it is part of has ended.
        index.set_served(self.kind, self.served);
        index.set_object(object_ref, Managed::read(self.kind, object, &self.defaults))
    }
    fn remove(&self, index: &mut Index, key: &ObjectKey) -> Vec<ObjectRef> {
        index.remove_object(&ObjectRef::new(self.kind, key.clone()))
    }
    fn keys(&self, index: &Index) -> Vec<ObjectKey> {
        let ours = index.objects().filter(|(object, _)| object.kind == self.kind);
        ours.map(|(object, _)| object.key.clone()).collect()
    }
    fn listed(&self, index: &mut Index, _: &Part, kind_exists: bool) {
        index.set_served(self.kind, self.served.filter(|_| kind_exists));
    }
    fn synced<'a>(&self, synced: &'a mut Synced) -> &'a mut bool {
        &mut synced.objects[self.kind as usize]
    }
    fn open(&self) -> impl Stream<Item = watcher::Result<Event<DynamicObject>>> + Send {
        watch_of(&self.api, config().labels(self.selector.as_str()))
    }
}

impl Source for Services {
    type Object = Service;

    fn name(&self) -> &'static str {
        "services"
    }
    fn apply(&self, index: &mut Index, object: &Service) -> Vec<ObjectRef> {
        index.set_service(ObjectKey::of(object), ServiceFacts::read(object))
    }
    fn remove(&self, index: &mut Index, key: &ObjectKey) -> Vec<ObjectRef> {
        index.remove_service(key)
    }
    fn keys(&self, index: &Index) -> Vec<ObjectKey> {
        index.service_keys()
    }
    fn synced<'a>(&self, synced: &'a mut Synced) -> &'a mut bool {
        &mut synced.services
    }
    fn open(&self) -> impl Stream<Item = watcher::Result<Event<Service>>> + Send {
        watcher(self.api.clone(), config())
    }
}

impl Source for Slices {
    type Object = EndpointSlice;

    fn name(&self) -> &'static str {
        "endpointslices"
    }
    fn apply(&self, index: &mut Index, slice: &EndpointSlice) -> Vec<ObjectRef> {
        let key = ObjectKey::of(slice);
        let labels = slice.metadata.labels.as_ref();
        let service = labels.and_then(|labels| labels.get(SERVICE_NAME)).map(|s| key.beside(s));
        index.set_slice(key, version(slice), service, SliceFacts::read(slice, self.families))
    }
    fn listed(&self, index: &mut Index, part: &Part, _: bool) {
        index.forget_gone_slices(|slice| part.covers(slice));
    }
    fn remove(&self, index: &mut Index, key: &ObjectKey) -> Vec<ObjectRef> {
        index.remove_slice(key)
    }
    fn keys(&self, index: &Index) -> Vec<ObjectKey> {
        index.slice_keys()
    }
    fn synced<'a>(&self, synced: &'a mut Synced) -> &'a mut bool {
        &mut synced.slices
    }
    fn open(&self) -> impl Stream<Item = watcher::Result<Event<EndpointSlice>>> + Send {
        // Slices of no Service concern nobody.
        watcher(self.api.clone(), config().labels(SERVICE_NAME))
    }
}

impl Source for Profiles {
    type Object = DynamicObject;
    const MAY_BE_FORBIDDEN: bool = true;

    fn name(&self) -> &'static str {
        "serviceprofiles"
    }
    fn apply(&self, index: &mut Index, object: &DynamicObject) -> Vec<ObjectRef> {
        index.set_profile(ObjectKey::of(object), ProfileFacts::read(object))
    }
    fn remove(&self, index: &mut Index, key: &ObjectKey) -> Vec<ObjectRef> {
        index.remove_profile(key)
    }
    fn keys(&self, index: &Index) -> Vec<ObjectKey> {
        index.profile_keys()
    }
    fn listed(&self, index: &mut Index, _: &Part, kind_exists: bool) {
        index.no_profiles = !kind_exists;
    }
    fn synced<'a>(&self, synced: &'a mut Synced) -> &'a mut bool {
        &mut synced.profiles
    }
    fn open(&self) -> impl Stream<Item = watcher::Result<Event<DynamicObject>>> + Send {
        watcher(self.api.clone(), config())
    }
}

impl Source for Grants {
    type Object = DynamicObject;
    const MAY_BE_FORBIDDEN: bool = true;

    fn name(&self) -> &'static str {
        "referencegrants"
    }
    async fn discover(&mut self) -> kube::Result<bool> {
        let served =
            discovery::served(&self.client, GROUP, self.name(), &["v1", "v1beta1"]).await?;
        self.api = served.map(|version| {
            let gvk = GroupVersionKind::gvk(GROUP, version, "ReferenceGrant");
            self.part.dynamic_api(&self.client, &ApiResource::from_gvk(&gvk))
        });
        Ok(self.api.is_some())
    }
    fn apply(&self, index: &mut Index, object: &DynamicObject) -> Vec<ObjectRef> {
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
    fn synced<'a>(&self, synced: &'a mut Synced) -> &'a mut bool {
        &mut synced.grants
    }
    fn open(&self) -> impl Stream<Item = watcher::Result<Event<DynamicObject>>> + Send {
        watch_of(&self.api, config())
    }
}

impl Source for OwnNamespace {
    type Object = Namespace;
    const MAY_BE_FORBIDDEN: bool = true;

    fn name(&self) -> &'static str {
        "namespace"
    }
    fn apply(&self, index: &mut Index, namespace: &Namespace) -> Vec<ObjectRef> {
        index.set_cluster_wide(ClusterWide::read(namespace))
    }
    fn remove(&self, index: &mut Index, _: &ObjectKey) -> Vec<ObjectRef> {
        index.set_cluster_wide(ClusterWide::default())
    }
    fn keys(&self, _: &Index) -> Vec<ObjectKey> {
        vec![]
    }
    fn synced<'a>(&self, synced: &'a mut Synced) -> &'a mut bool {
        &mut synced.namespace
    }
    fn open(&self) -> impl Stream<Item = watcher::Result<Event<Namespace>>> + Send {
        watcher(self.api.clone(), config().fields(&format!("metadata.name={}", self.name)))
    }
}

/// The watch of a kind that the cluster may have.
fn watch_of(
    api: &Option<Api<DynamicObject>>,
    config: watcher::Config,
) -> impl Stream<Item = watcher::Result<Event<DynamicObject>>> + Send + use<> {
    let there = futures::stream::iter(api.clone());
    there.flat_map(move |api| watcher(api, config.clone()).boxed())
}

/// The number that grows with every change of an object; 0 where there is none.
pub(super) fn version(object: &impl Resource) -> u64 {
    object.meta().resource_version.as_deref().and_then(|v| v.parse().ok()).unwrap_or_default()
}
