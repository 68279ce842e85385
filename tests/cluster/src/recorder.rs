//! Records what happens in a namespace, and in which order.

use crate::history::{History, Version};
use crate::wait::eventually;
use crate::workload::Workload;
use anyhow::Context;
use futures::{StreamExt, TryStreamExt};
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::api::discovery::v1::EndpointSlice;
use kube::api::{Api, ListParams, WatchEvent, WatchParams};
use kube::core::{ApiResource, DynamicObject};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::task::JoinSet;

const PATIENCE: Duration = Duration::from_secs(60);
const RETRY: Duration = Duration::from_millis(100);

/// Keeps every version of a namespace's EndpointSlices, pods and managed objects, from its start
/// until it is dropped.
///
/// Each kind arrives on a stream of its own, so arrival has no order. Resource versions
/// do: one etcd counts them.
#[derive(Debug)]
pub struct Recorder {
    kinds: Vec<Arc<Kind>>,
    _watches: JoinSet<()>,
}

#[derive(Debug)]
struct Kind {
    name: String,
    api: Api<DynamicObject>,
    seen: Mutex<Seen>,
}

#[derive(Debug, Default)]
struct Seen {
    versions: Vec<Version>,
    broken: Option<String>,
}

impl Recorder {
    /// Begins with what is there now of slices, pods, and the kinds of `managed`.
    pub async fn start(workload: &Workload<'_>, managed: &[ApiResource]) -> anyhow::Result<Self> {
        let own = [ApiResource::erase::<EndpointSlice>(&()), ApiResource::erase::<Pod>(&())];
        let (mut kinds, mut watches) = (Vec::new(), JoinSet::new());
        for resource in own.iter().chain(managed) {
            let client = workload.cluster().client();
            let api = Api::namespaced_with(client, workload.namespace(), resource);
            let name = resource.kind.clone();
            let kind = Arc::new(Kind { name, api, seen: Mutex::default() });
            let from = kind.begin().await.with_context(|| format!("the first {}", kind.name))?;
            watches.spawn(Arc::clone(&kind).watch(from));
            kinds.push(kind);
        }
        Ok(Self { kinds, _watches: watches })
    }

    /// A number: all that has happened has a lower one or this, all that will happen a higher one.
    pub async fn now(&self) -> anyhow::Result<u64> {
        let list = self.kinds[0].api.list(&ListParams::default().limit(1)).await?;
        number(list.metadata.resource_version.as_deref())
    }

    /// What has happened after the moment that [`Self::now`] gave, up to this moment.
    pub async fn since(&self, mark: u64) -> anyhow::Result<History> {
        let mut versions = Vec::new();
        for kind in &self.kinds {
            kind.catch_up().await?;
            versions.extend(kind.lock().versions.iter().cloned());
        }
        Ok(History::new(mark, versions))
    }
}

impl Kind {
    async fn begin(&self) -> anyhow::Result<String> {
        let list = self.api.list(&ListParams::default()).await?;
        for object in list.items {
            self.keep(object, false)?;
        }
        list.metadata.resource_version.context("a list without version")
    }

    async fn watch(self: Arc<Self>, mut from: String) {
        // A watch ends after some minutes, or with the API server.
        while self.lock().broken.is_none() {
            if let Err(error) = self.follow(&mut from).await {
                let gone = matches!(&error, kube::Error::Api(status) if status.code == 410);
                if gone {
                    self.lock().broken = Some(format!("{}: {error}", self.name));
                }
            }
            tokio::time::sleep(RETRY).await;
        }
    }

    async fn follow(&self, from: &mut String) -> kube::Result<()> {
        let mut events = self.api.watch(&WatchParams::default(), from).await?.boxed();
        while let Some(event) = events.try_next().await? {
            let (object, deleted) = match event {
                WatchEvent::Added(object) | WatchEvent::Modified(object) => (object, false),
                WatchEvent::Deleted(object) => (object, true),
                WatchEvent::Bookmark(bookmark) => {
                    *from = bookmark.metadata.resource_version;
                    continue;
                }
                WatchEvent::Error(status) => return Err(kube::Error::Api(status)),
            };
            *from = object.metadata.resource_version.clone().unwrap_or_default();
            if let Err(error) = self.keep(object, deleted) {
                self.lock().broken = Some(format!("{}: {error:#}", self.name));
            }
        }
        Ok(())
    }

    fn keep(&self, object: DynamicObject, deleted: bool) -> anyhow::Result<()> {
        let version = Version {
            number: number(object.metadata.resource_version.as_deref())?,
            kind: self.name.clone(),
            name: object.metadata.name.clone().unwrap_or_default(),
            object: (!deleted).then_some(object),
        };
        self.lock().versions.push(version);
        Ok(())
    }

    /// Waits until the watch has delivered all that a list shows.
    async fn catch_up(&self) -> anyhow::Result<()> {
        let list = self.api.list(&ListParams::default()).await?;
        let until = number(list.metadata.resource_version.as_deref())?;
        let mut there = BTreeMap::new();
        for object in list.items {
            let name = object.metadata.name.unwrap_or_default();
            there.insert(name, number(object.metadata.resource_version.as_deref())?);
        }
        eventually(&format!("the watch of {} has caught up", self.name), PATIENCE, || async {
            let seen = self.lock();
            anyhow::ensure!(seen.broken.is_none(), "{:?}", seen.broken);
            let known = seen.at(until);
            anyhow::ensure!(known == there, "{known:?} instead of {there:?}");
            Ok(())
        })
        .await
    }

    fn lock(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Seen {
    /// What there was at that moment, and in which version.
    fn at(&self, until: u64) -> BTreeMap<String, u64> {
        let mut there = BTreeMap::new();
        for version in self.versions.iter().filter(|version| version.number <= until) {
            match version.object {
                Some(_) => there.insert(version.name.clone(), version.number),
                None => there.remove(&version.name),
            };
        }
        there
    }
}

fn number(version: Option<&str>) -> anyhow::Result<u64> {
    let version = version.context("no resource version")?;
    version.parse().with_context(|| format!("{version:?} is no number"))
}
