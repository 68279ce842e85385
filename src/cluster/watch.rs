//! The watches: Kubernetes' events become facts in the index, and the objects they concern are
//! handed on at once.

use super::endpoints::{Families, SERVICE_NAME, SliceFacts};
use super::index::{Index, Synced};
use super::managed::Managed;
use super::namespace::ClusterWide;
use super::part::Part;
use super::profiles::{self, ProfileFacts};
use super::services::ServiceFacts;
use super::shared::Shared;
use crate::failover::Defaults;
use crate::resources::selector::LabelSelector;
use crate::resources::{ObjectKey, traffic_split};
use futures::future::join_all;
use futures::{Stream, StreamExt};
use k8s_openapi::api::core::v1::{Namespace, Service};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use kube::core::DynamicObject;
use kube::runtime::watcher::{self, Event, watcher};
use kube::{Api, Client, Resource};
use std::collections::HashSet;
use std::pin::pin;
use std::time::{Duration, Instant};

/// A kind of facts: where they come from, and how they enter the index.
pub trait Source: Send + 'static {
    type Object: Clone + std::fmt::Debug + Send + 'static;
    /// For logs and metrics: `services`.
    const NAME: &'static str;

    fn key(object: &Self::Object) -> ObjectKey;
    fn apply(&self, index: &mut Index, object: &Self::Object) -> Vec<ObjectKey>;
    fn remove(index: &mut Index, key: &ObjectKey) -> Vec<ObjectKey>;
    fn keys(index: &Index) -> Vec<ObjectKey>;
    fn synced(synced: &mut Synced) -> &mut bool;
    fn open(&self) -> impl Stream<Item = watcher::Result<Event<Self::Object>>> + Send;
    /// A LIST of this part is complete, or there is no such kind.
    fn listed(_: &mut Index, _: &Part, _kind_exists: bool) {}
    /// Whether a LIST that is forbidden counts as empty: what people may do without.
    const MAY_BE_FORBIDDEN: bool = false;
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

struct Splits {
    api: Api<DynamicObject>,
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

/// What to watch, and how to read it.
pub struct Watched {
    pub selector: LabelSelector,
    pub families: Families,
    pub defaults: Defaults,
    /// The controller's own.
    pub namespace: String,
    /// Where objects are managed; empty: everywhere.
    pub namespaces: Vec<String>,
    /// Whether anybody asks for ServiceProfiles: the webhook does.
    pub profiles: bool,
}

/// Watches everything that decisions need, until dropped.
pub async fn watch_all(client: Client, watched: Watched, shared: Shared) {
    let Watched { selector, families, defaults, namespace, namespaces, profiles: asked } = watched;
    let kind = traffic_split::api_resource();
    let splits = |part: &Part| Splits {
        api: part.dynamic_api(&client, &kind),
        selector: selector.clone(),
        defaults,
    };
    let services = |part: &Part| Services { api: part.api(&client) };
    let slices = |part: &Part| Slices { api: part.api(&client), families };
    let profile = profiles::api_resource();
    let profiles = |part: &Part| Profiles { api: part.dynamic_api(&client, &profile) };
    let own = OwnNamespace { api: Api::all(client.clone()), name: namespace };
    tokio::join!(
        watch_each(&namespaces, splits, &shared),
        watch_each(&namespaces, services, &shared),
        watch_each(&namespaces, slices, &shared),
        async {
            match asked {
                true => watch_each(&namespaces, profiles, &shared).await,
                false => std::future::pending().await,
            }
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

/// A watch that has lived for so long works.
const LIVED: Duration = Duration::from_secs(5);

async fn watch<S: Source>(source: S, part: Part, shared: Shared) {
    let mut failures = 0;
    let mut whole: Option<Instant> = None;
    let mut said_absent = false;
    let mut said_forbidden = false;
    loop {
        let mut listed = HashSet::new();
        let mut events = pin!(source.open());
        let error = loop {
            match events.next().await {
                Some(Ok(event)) => {
                    if matches!(event, Event::InitDone) {
                        whole = Some(Instant::now());
                        said_absent = false;
                        said_forbidden = false;
                    }
                    handle(&source, &part, &shared, &mut listed, event);
                }
                Some(Err(error)) => break Some(error),
                None => break None,
            }
        };
        // A LIST that works beside a watch that does not must not become a loop of LISTs.
        if whole.take().is_some_and(|whole| whole.elapsed() > LIVED) {
            failures = 0;
        }
        // After any interruption the facts are old until they have been listed again: nothing is
        // written from them. Beginning anew says so also where the watch could be resumed, since a
        // resumed watch of a quiet kind gives no sign of life.
        let refused = match &error {
            Some(watcher::Error::InitialListFailed(kube::Error::Api(status))) => status.code,
            _ => 0,
        };
        if refused == 403 && S::MAY_BE_FORBIDDEN {
            if !std::mem::replace(&mut said_forbidden, true) {
                tracing::warn!("{} may not be read: what is said there has no effect", S::NAME);
            }
            replace_all::<S>(&shared, &part, &HashSet::new(), true);
        } else if let (403, Some(namespace)) = (refused, part.namespace()) {
            if !std::mem::replace(&mut said_forbidden, true) {
                tracing::warn!(
                    namespace,
                    "{} may not be read: nothing fails over in this namespace; is it gone, or \
                     without its RoleBinding?",
                    S::NAME
                );
            }
            shared.update(|index| {
                index.forbidden.note(namespace, S::NAME, true);
                vec![]
            });
            replace_all::<S>(&shared, &part, &HashSet::new(), true);
        } else if refused == 404 {
            if !std::mem::replace(&mut said_absent, true) {
                tracing::warn!("no {} in this cluster yet: the CRD is not installed", S::NAME);
            }
            readable::<S>(&shared, &part);
            replace_all::<S>(&shared, &part, &HashSet::new(), false);
        } else {
            shared.update(|index| {
                *S::synced(&mut index.synced) = part.is_whole(false);
                vec![]
            });
            match error {
                Some(error) => tracing::warn!(kind = S::NAME, %error, "watch failed; listing anew"),
                None => tracing::warn!(kind = S::NAME, "watch ended; listing anew"),
            }
        }
        tokio::time::sleep(RETRY[failures.min(RETRY.len() - 1)]).await;
        failures += 1;
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
            listed.insert(S::key(&object));
            shared.update(|index| source.apply(index, &object));
        }
        Event::InitDone => {
            tracing::debug!(kind = S::NAME, count = listed.len(), "listed");
            readable::<S>(shared, part);
            replace_all::<S>(shared, part, &std::mem::take(listed), true);
        }
        Event::Apply(object) => shared.update(|index| source.apply(index, &object)),
        Event::Delete(object) => shared.update(|index| S::remove(index, &S::key(&object))),
    }
}

/// A kind may be read here, perhaps again: then everything here is decided anew.
fn readable<S: Source>(shared: &Shared, part: &Part) {
    let Some(namespace) = part.namespace() else { return };
    shared.update(|index| {
        let news = index.forbidden.note(namespace, S::NAME, false);
        if news { index.object_keys() } else { vec![] }
    });
}

/// Removes what a LIST no longer has, and marks the kind as whole. Everything is decided anew:
/// what changed while nothing could be written has been heard and put aside.
fn replace_all<S: Source>(
    shared: &Shared,
    part: &Part,
    listed: &HashSet<ObjectKey>,
    kind_exists: bool,
) {
    shared.update(|index| {
        let here = S::keys(index).into_iter().filter(|key| part.covers(key));
        let gone: Vec<_> = here.filter(|key| !listed.contains(key)).collect();
        for key in &gone {
            S::remove(index, key);
        }
        S::listed(index, part, kind_exists);
        let was = std::mem::replace(S::synced(&mut index.synced), part.is_whole(true));
        let nothing_new = was && gone.is_empty() && listed.is_empty();
        if nothing_new { vec![] } else { index.object_keys() }
    });
}

impl Source for Splits {
    type Object = DynamicObject;
    const NAME: &'static str = "trafficsplits";

    fn key(object: &DynamicObject) -> ObjectKey {
        ObjectKey::of(object)
    }
    fn apply(&self, index: &mut Index, object: &DynamicObject) -> Vec<ObjectKey> {
        // Mostly our own write, which told its outcome before the watch does.
        let key = ObjectKey::of(object);
        if index.has_version(&key, &object.metadata) {
            return vec![];
        }
        let managed = Managed::new(&traffic_split::read(object), &object.metadata, &self.defaults);
        index.set_object(key, managed)
    }
    fn remove(index: &mut Index, key: &ObjectKey) -> Vec<ObjectKey> {
        index.remove_object(key)
    }
    fn keys(index: &Index) -> Vec<ObjectKey> {
        index.object_keys()
    }
    fn synced(synced: &mut Synced) -> &mut bool {
        &mut synced.objects
    }
    fn open(&self) -> impl Stream<Item = watcher::Result<Event<DynamicObject>>> + Send {
        watcher(self.api.clone(), config().labels(self.selector.as_str()))
    }
}

impl Source for Services {
    type Object = Service;
    const NAME: &'static str = "services";

    fn key(object: &Service) -> ObjectKey {
        ObjectKey::of(object)
    }
    fn apply(&self, index: &mut Index, object: &Service) -> Vec<ObjectKey> {
        index.set_service(ObjectKey::of(object), ServiceFacts::read(object))
    }
    fn remove(index: &mut Index, key: &ObjectKey) -> Vec<ObjectKey> {
        index.remove_service(key)
    }
    fn keys(index: &Index) -> Vec<ObjectKey> {
        index.service_keys()
    }
    fn synced(synced: &mut Synced) -> &mut bool {
        &mut synced.services
    }
    fn open(&self) -> impl Stream<Item = watcher::Result<Event<Service>>> + Send {
        watcher(self.api.clone(), config())
    }
}

impl Source for Slices {
    type Object = EndpointSlice;
    const NAME: &'static str = "endpointslices";

    fn key(object: &EndpointSlice) -> ObjectKey {
        ObjectKey::of(object)
    }
    fn apply(&self, index: &mut Index, slice: &EndpointSlice) -> Vec<ObjectKey> {
        let key = ObjectKey::of(slice);
        let labels = slice.metadata.labels.as_ref();
        let service = labels.and_then(|labels| labels.get(SERVICE_NAME)).map(|s| key.beside(s));
        index.set_slice(key, version(slice), service, SliceFacts::read(slice, self.families))
    }
    fn listed(index: &mut Index, part: &Part, _: bool) {
        index.forget_gone_slices(|slice| part.covers(slice));
    }
    fn remove(index: &mut Index, key: &ObjectKey) -> Vec<ObjectKey> {
        index.remove_slice(key)
    }
    fn keys(index: &Index) -> Vec<ObjectKey> {
        index.slice_keys()
    }
    fn synced(synced: &mut Synced) -> &mut bool {
        &mut synced.slices
    }
    fn open(&self) -> impl Stream<Item = watcher::Result<Event<EndpointSlice>>> + Send {
        // Slices of no Service concern nobody.
        watcher(self.api.clone(), config().labels(SERVICE_NAME))
    }
}

impl Source for Profiles {
    type Object = DynamicObject;
    const NAME: &'static str = "serviceprofiles";
    const MAY_BE_FORBIDDEN: bool = true;

    fn key(object: &DynamicObject) -> ObjectKey {
        ObjectKey::of(object)
    }
    fn apply(&self, index: &mut Index, object: &DynamicObject) -> Vec<ObjectKey> {
        index.set_profile(ObjectKey::of(object), ProfileFacts::read(object));
        vec![]
    }
    fn remove(index: &mut Index, key: &ObjectKey) -> Vec<ObjectKey> {
        index.remove_profile(key);
        vec![]
    }
    fn keys(index: &Index) -> Vec<ObjectKey> {
        index.profile_keys()
    }
    fn listed(index: &mut Index, _: &Part, kind_exists: bool) {
        index.no_profiles = !kind_exists;
    }
    fn synced(synced: &mut Synced) -> &mut bool {
        &mut synced.profiles
    }
    fn open(&self) -> impl Stream<Item = watcher::Result<Event<DynamicObject>>> + Send {
        watcher(self.api.clone(), config())
    }
}

impl Source for OwnNamespace {
    type Object = Namespace;
    const NAME: &'static str = "namespace";
    const MAY_BE_FORBIDDEN: bool = true;

    fn key(object: &Namespace) -> ObjectKey {
        ObjectKey::of(object)
    }
    fn apply(&self, index: &mut Index, namespace: &Namespace) -> Vec<ObjectKey> {
        index.set_cluster_wide(ClusterWide::read(namespace))
    }
    fn remove(index: &mut Index, _: &ObjectKey) -> Vec<ObjectKey> {
        index.set_cluster_wide(ClusterWide::default())
    }
    fn keys(_: &Index) -> Vec<ObjectKey> {
        vec![]
    }
    fn synced(synced: &mut Synced) -> &mut bool {
        &mut synced.namespace
    }
    fn open(&self) -> impl Stream<Item = watcher::Result<Event<Namespace>>> + Send {
        watcher(self.api.clone(), config().fields(&format!("metadata.name={}", self.name)))
    }
}

/// The number that grows with every change of an object; 0 where there is none.
pub(super) fn version(object: &impl Resource) -> u64 {
    object.meta().resource_version.as_deref().and_then(|v| v.parse().ok()).unwrap_or_default()
}
