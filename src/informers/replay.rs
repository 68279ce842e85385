//! Answers of an API server, as text, into an index without an API server: what an event costs, and what
//! facts take, for benchmarks. Of the facts that it enters other rooms have replays of their own.

use crate::engine::Defaults;
use crate::index::endpoints::AddressFamilies;
use crate::index::shared_index::{ChangedObjects, SharedIndex};
use crate::informers::reflector::Reflector;
use crate::informers::source::Source;
use crate::informers::sources::objects::ObjectSource;
use crate::informers::sources::services::ServiceSource;
use crate::informers::sources::slices::SliceSource;
use crate::informers::watch_scope::WatchScope;
use crate::kinds::Kind;
use crate::kinds::selector::LabelSelector;
use http::{Request, Response};
use kube::Client;
use kube::api::{ObjectList, WatchEvent};
use kube::client::Body;
use kube::runtime::watcher::Event;
use serde::de::DeserializeOwned;
use std::collections::HashSet;
use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// An index with the informers of TrafficSplits, Services and EndpointSlices.
pub struct Replay {
    index: SharedIndex,
    changes: ChangedObjects,
    requests: Arc<AtomicUsize>,
    splits: Reflector<ObjectSource>,
    services: Reflector<ServiceSource>,
    slices: Reflector<SliceSource>,
}

/// A resource that is replayed.
#[derive(Clone, Copy, Debug)]
pub enum Resource {
    /// The managed ones.
    TrafficSplits,
    /// All of a cluster.
    Services,
    /// Those of Services.
    EndpointSlices,
}

impl Replay {
    /// An empty index; `guarded` as where deletions of pods are announced. Within a runtime.
    pub fn new(guarded: bool) -> anyhow::Result<Self> {
        let (index, changes) = SharedIndex::new();
        if guarded {
            index.update(|index| {
                index.follow_pods();
                vec![]
            });
        }
        let (client, requests) = counting_client();
        let scope = &WatchScope::everything();
        let selector = &LabelSelector::parse("app")?;
        let (defaults, families) = (Defaults::default(), AddressFamilies::default());
        let splits = ObjectSource::new(Kind::TrafficSplit, &client, scope, selector, defaults);
        let services = ServiceSource::new(&client, scope);
        let slices = SliceSource::new(&client, scope, families);
        Ok(Self {
            splits: reflector(splits, &index),
            services: reflector(services, &index),
            slices: reflector(slices, &index),
            index,
            changes,
            requests,
        })
    }

    /// Enters a LIST, page by page.
    pub fn list(
        &self,
        of: Resource,
        pages: impl Iterator<Item = String>,
    ) -> serde_json::Result<()> {
        match of {
            Resource::TrafficSplits => list(&self.splits, pages),
            Resource::Services => list(&self.services, pages),
            Resource::EndpointSlices => list(&self.slices, pages),
        }
    }

    /// Enters an event, a line of a watch.
    pub fn event(&self, of: Resource, line: &str) -> serde_json::Result<()> {
        match of {
            Resource::TrafficSplits => event(&self.splits, line),
            Resource::Services => event(&self.services, line),
            Resource::EndpointSlices => event(&self.slices, line),
        }
    }

    /// How many objects have been reported to the reconciler since the last time.
    pub fn reported(&mut self) -> usize {
        let mut reported = 0;
        while let Ok(change) = self.changes.try_recv() {
            reported += change.objects.len();
        }
        reported
    }

    /// The index, for the replays of other rooms.
    pub(crate) fn index(&self) -> &SharedIndex {
        &self.index
    }

    /// How many requests have been made.
    pub fn requests(&self) -> usize {
        self.requests.load(Ordering::Relaxed)
    }

    /// Looks up the health of the backends of every object. Returns how many there are.
    pub fn health_of_all(&self) -> usize {
        let (index, now) = (self.index.read(), self.index.now());
        let healths = index.objects().map(|(object, managed)| {
            let sets = managed.readable().iter();
            sets.map(|set| index.health(object.namespace(), &set.intent, now).len()).sum::<usize>()
        });
        healths.sum()
    }
}

fn reflector<S: Source>(source: S, index: &SharedIndex) -> Reflector<S> {
    Reflector { source, scope: WatchScope::everything(), index: index.clone() }
}

fn list<S: Source<Object: DeserializeOwned>>(
    reflector: &Reflector<S>,
    pages: impl Iterator<Item = String>,
) -> serde_json::Result<()> {
    let mut listed = HashSet::new();
    reflector.handle(&mut listed, Event::Init);
    for page in pages {
        let page: ObjectList<S::Object> = serde_json::from_str(&page)?;
        for object in page {
            reflector.handle(&mut listed, Event::InitApply(object));
        }
    }
    reflector.handle(&mut listed, Event::InitDone);
    Ok(())
}

fn event<S: Source<Object: DeserializeOwned>>(
    reflector: &Reflector<S>,
    line: &str,
) -> serde_json::Result<()> {
    let event = match serde_json::from_str(line)? {
        WatchEvent::Added(object) | WatchEvent::Modified(object) => Event::Apply(object),
        WatchEvent::Deleted(object) => Event::Delete(object),
        WatchEvent::Bookmark(_) | WatchEvent::Error(_) => return Ok(()),
    };
    reflector.handle(&mut HashSet::new(), event);
    Ok(())
}

/// A client whose requests are counted, and have an empty answer.
fn counting_client() -> (Client, Arc<AtomicUsize>) {
    let requests = Arc::new(AtomicUsize::new(0));
    let counter = requests.clone();
    let service = tower::service_fn(move |_: Request<Body>| {
        counter.fetch_add(1, Ordering::Relaxed);
        std::future::ready(Ok::<_, Infallible>(Response::new(Body::empty())))
    });
    (Client::new(service, "default"), requests)
}

#[cfg(test)]
#[path = "replay_tests.rs"]
mod tests;
