//! The watches: Kubernetes' events become facts in the index, and the objects they concern are
//! handed on at once.

use super::endpoints::{Families, SERVICE_NAME, SliceFacts};
use super::index::{Index, Managed, Synced};
use super::services::ServiceFacts;
use crate::resources::selector::LabelSelector;
use crate::resources::{ObjectKey, traffic_split};
use futures::{Stream, StreamExt};
use k8s_openapi::api::core::v1::Service;
use k8s_openapi::api::discovery::v1::EndpointSlice;
use kube::core::DynamicObject;
use kube::runtime::watcher::{self, Event, watcher};
use kube::{Api, Client};
use std::collections::HashSet;
use std::pin::pin;
use std::sync::{Arc, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::Duration;
use tokio::sync::mpsc;

/// Objects to decide anew, as each event concerns them.
pub type Changes = mpsc::UnboundedReceiver<Vec<ObjectKey>>;

/// The index, and who hears of its changes. Locks are held for lookups only, never across I/O.
#[derive(Clone)]
pub struct Shared {
    index: Arc<RwLock<Index>>,
    changed: mpsc::UnboundedSender<Vec<ObjectKey>>,
}

impl Shared {
    pub fn new() -> (Self, Changes) {
        let (changed, changes) = mpsc::unbounded_channel();
        (Self { index: Arc::default(), changed }, changes)
    }

    pub fn read(&self) -> RwLockReadGuard<'_, Index> {
        // A poisoned lock still guards whole facts: each update is made by calls that do not panic
        // half way.
        self.index.read().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    fn write(&self) -> RwLockWriteGuard<'_, Index> {
        self.index.write().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// Changes the index, and hands on what the change concerns.
    pub fn update(&self, change: impl FnOnce(&mut Index) -> Vec<ObjectKey>) {
        let affected = change(&mut self.write());
        if !affected.is_empty() {
            // Nobody listens while the program stops.
            let _ = self.changed.send(affected);
        }
    }
}

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
}

struct Splits {
    api: Api<DynamicObject>,
    selector: LabelSelector,
}

struct Services {
    api: Api<Service>,
}

struct Slices {
    api: Api<EndpointSlice>,
    families: Families,
}

/// Watches everything that decisions need, until dropped.
pub async fn watch_all(
    client: Client,
    selector: LabelSelector,
    families: Families,
    shared: Shared,
) {
    let splits =
        Splits { api: Api::all_with(client.clone(), &traffic_split::api_resource()), selector };
    let services = Services { api: Api::all(client.clone()) };
    let slices = Slices { api: Api::all(client), families };
    tokio::join!(
        watch(splits, shared.clone()),
        watch(services, shared.clone()),
        watch(slices, shared)
    );
}

/// How long to wait after a failed watch: short, since nothing is written meanwhile.
const RETRY: [Duration; 5] = [
    Duration::from_millis(100),
    Duration::from_millis(250),
    Duration::from_millis(500),
    Duration::from_secs(1),
    Duration::from_secs(2),
];

async fn watch<S: Source>(source: S, shared: Shared) {
    let mut failures = 0;
    let mut said_absent = false;
    loop {
        let mut listed = HashSet::new();
        let mut events = pin!(source.open());
        let error = loop {
            match events.next().await {
                Some(Ok(event)) => {
                    if matches!(event, Event::InitDone) {
                        failures = 0;
                        said_absent = false;
                    }
                    handle(&source, &shared, &mut listed, event);
                }
                Some(Err(error)) => break Some(error),
                None => break None,
            }
        };
        // After any interruption the facts are old until they have been listed again: nothing is
        // written from them. Beginning anew says so also where the watch could be resumed, since a
        // resumed watch of a quiet kind gives no sign of life.
        let absent = matches!(&error, Some(watcher::Error::InitialListFailed(kube::Error::Api(status)))
            if status.code == 404);
        if absent {
            if !std::mem::replace(&mut said_absent, true) {
                tracing::warn!("no {} in this cluster yet: the CRD is not installed", S::NAME);
            }
            replace_all::<S>(&shared, &HashSet::new());
        } else {
            shared.update(|index| {
                *S::synced(&mut index.synced) = false;
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
            replace_all::<S>(shared, &std::mem::take(listed));
        }
        Event::Apply(object) => shared.update(|index| source.apply(index, &object)),
        Event::Delete(object) => shared.update(|index| S::remove(index, &S::key(&object))),
    }
}

/// Removes what a LIST no longer has, and marks the kind as whole. Everything is decided anew:
/// what changed while nothing could be written has been heard and put aside.
fn replace_all<S: Source>(shared: &Shared, listed: &HashSet<ObjectKey>) {
    shared.update(|index| {
        let gone: Vec<_> = S::keys(index).into_iter().filter(|key| !listed.contains(key)).collect();
        for key in &gone {
            S::remove(index, key);
        }
        let was = std::mem::replace(S::synced(&mut index.synced), true);
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
        let managed = Managed::new(&traffic_split::read(object), &object.metadata);
        index.set_object(ObjectKey::of(object), managed)
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
        let config = watcher::Config::default().labels(self.selector.as_str());
        watcher(self.api.clone(), config)
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
        watcher(self.api.clone(), watcher::Config::default())
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
        index.set_slice(key, service, SliceFacts::read(slice, self.families))
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
        let config = watcher::Config::default().labels(SERVICE_NAME);
        watcher(self.api.clone(), config)
    }
}
