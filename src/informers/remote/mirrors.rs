//! The watch of the mirrors that a linked cluster has of others. Only for warnings: no decision depends on
//! them.

use crate::index::remote::mirrors::RemoteMirror;
use crate::index::service_facts::ServiceKind;
use crate::informers::list_watch::config;
use crate::informers::remote::link::Link;
use crate::kinds::ObjectKey;
use futures::StreamExt;
use k8s_openapi::api::core::v1::Service;
use kube::Api;
use kube::core::PartialObjectMeta;
use kube::runtime::WatchStreamExt;
use kube::runtime::watcher::{Event, watcher};
use std::collections::HashMap;
use std::pin::pin;
use std::time::Duration;

const MIRRORED: &str = "mirror.linkerd.io/mirrored-service";
/// How often to look whether Services here mirror the cluster through its gateway.
const AGAIN: Duration = Duration::from_secs(2);

impl Link {
    /// Watches them while Services here mirror that cluster through its gateway. That the cluster cannot be
    /// reached is reported by the watch of slices.
    pub(crate) async fn follow_mirrors(&self) {
        loop {
            if self.has_gateway_mirrors() {
                self.watch_mirrors().await;
                self.index.update(|index| {
                    index.remote.set_mirrors_of(&self.cluster, HashMap::new());
                    vec![]
                });
            }
            tokio::time::sleep(AGAIN).await;
        }
    }

    fn has_gateway_mirrors(&self) -> bool {
        let index = self.index.read();
        index.services().any(|service| {
            service.mirrors.as_deref() == Some(&*self.cluster)
                && service.kind == ServiceKind::Slices
        })
    }

    /// Watches them until no Service here mirrors the cluster.
    async fn watch_mirrors(&self) {
        let api: Api<PartialObjectMeta<Service>> = Api::all(self.client.clone());
        let config = config().labels(&format!("{MIRRORED}=true"));
        let mut events = pin!(watcher(api, config).default_backoff());
        let mut check = tokio::time::interval(AGAIN);
        let (mut mirrors, mut listed) = (HashMap::new(), HashMap::new());
        loop {
            let event = tokio::select! {
                Some(event) = events.next() => event,
                _ = check.tick() => match self.has_gateway_mirrors() {
                    true => continue,
                    false => return,
                },
            };
            match event {
                Ok(Event::Init) => listed.clear(),
                Ok(Event::InitApply(service)) => {
                    listed.extend(RemoteMirror::read(&service).map(|m| (m.service.clone(), m)));
                    continue;
                }
                Ok(Event::InitDone) => mirrors = std::mem::take(&mut listed),
                Ok(Event::Apply(service)) => {
                    mirrors.remove(&ObjectKey::of(&service));
                    mirrors.extend(RemoteMirror::read(&service).map(|m| (m.service.clone(), m)));
                }
                Ok(Event::Delete(service)) => {
                    mirrors.remove(&ObjectKey::of(&service));
                }
                Err(error) => {
                    tracing::debug!(cluster = self.cluster, %error, "cannot see the mirrors there");
                    continue;
                }
            }
            let now = mirrors.clone();
            self.index.update(|index| {
                index.remote.set_mirrors_of(&self.cluster, now);
                vec![]
            });
        }
    }
}
