//! The watch of a linked cluster's Services: how they call their ports.
//!
//! It says nothing of whether the cluster can be reached, which is for the watch of slices to say:
//! without it a member may be unknown, and never down.

use crate::index::remote::services::Versioned;
use crate::index::service_facts::ServiceFacts;
use crate::informers::list_watch::config;
use crate::informers::list_watch::list_watch;
use crate::informers::remote::failure::RequestFailure;
use crate::informers::remote::wanted::WatchSelector;
use crate::informers::remote::watch::{Link, SWARM, next, pause};
use crate::informers::resource_version;
use crate::kinds::ObjectKey;
use k8s_openapi::api::core::v1::Service;
use kube::Api;
use kube::runtime::watcher::Event;
use std::collections::{BTreeSet, HashMap};
use std::pin::pin;
use tokio::sync::watch;

impl Link {
    /// Watches the Services that are wanted, for as long as this is polled.
    pub(crate) async fn watch_services(&self) {
        let mut changes = self.shared.wanted();
        let mut failures = 0;
        loop {
            changes.borrow_and_update();
            let wanted = self.wanted();
            if wanted.is_empty() {
                if changes.changed().await.is_err() {
                    return;
                }
                tokio::time::sleep(SWARM).await;
                continue;
            }
            let Err((failure, whole)) = self.watch_services_once(&wanted, &mut changes).await
            else {
                tokio::time::sleep(SWARM).await;
                continue;
            };
            failures = if whole { 0 } else { failures };
            self.doubt(failure, failures == 0);
            // Where it worked a moment ago not at once either: who ends each watch is not asked
            // without a pause.
            failures += 1;
            tokio::time::sleep(pause(failures, None, fastrand::f64())).await;
        }
    }

    /// Until something else is wanted, or until it fails: then with whether it worked before.
    async fn watch_services_once(
        &self,
        wanted: &BTreeSet<ObjectKey>,
        changes: &mut watch::Receiver<u64>,
    ) -> Result<(), (RequestFailure, bool)> {
        let scope = WatchSelector::of(wanted);
        let api: Api<Service> = match &scope.namespace {
            Some(namespace) => Api::namespaced(self.client.clone(), namespace),
            None => Api::all(self.client.clone()),
        };
        let mut events = pin!(list_watch(api, config().fields(&scope.services)));
        let mut listed = HashMap::new();
        let mut whole = false;
        loop {
            let event = tokio::select! {
                event = next(&mut events, whole) => event,
                Ok(()) = changes.changed() => match self.wanted() == *wanted {
                    true => continue,
                    false => return Ok(()),
                },
            };
            let event = event.map_err(|failure| (failure, whole))?;
            whole |= matches!(event, Event::InitDone);
            self.take_service(event, wanted, &mut listed);
        }
    }

    fn take_service(
        &self,
        event: Event<Service>,
        wanted: &BTreeSet<ObjectKey>,
        listed: &mut HashMap<ObjectKey, Versioned>,
    ) {
        let cluster = &self.cluster;
        let read = |service: &Service| {
            let key = Some(ObjectKey::of(service)).filter(|key| wanted.contains(key))?;
            Some((key, (resource_version::of_object(service), ServiceFacts::read(service))))
        };
        match event {
            Event::Init => listed.clear(),
            Event::InitApply(service) => listed.extend(read(&service)),
            Event::InitDone => {
                let listed = std::mem::take(listed);
                self.shared
                    .update(|index| index.set_remote_services(cluster, wanted.clone(), listed));
            }
            Event::Apply(service) => {
                let Some((key, versioned)) = read(&service) else { return };
                self.shared.update(|index| index.set_remote_service(cluster, &key, versioned));
            }
            Event::Delete(service) => {
                let (key, version) =
                    (ObjectKey::of(&service), resource_version::of_object(&service));
                self.shared.update(|index| index.delete_remote_service(cluster, &key, version));
            }
        }
    }

    /// What is known of the Services may be old.
    fn doubt(&self, failure: RequestFailure, is_news: bool) {
        let (why, refused) = match failure {
            RequestFailure::Refused(why) => (why, true),
            RequestFailure::Unreachable(why)
            | RequestFailure::Unverified(why)
            | RequestFailure::Failing(why) => (why, false),
        };
        if is_news && refused {
            tracing::warn!(
                cluster = self.cluster,
                why,
                "its Services cannot be read; their ports are taken to be called as here"
            );
        }
        self.shared.update(|index| index.doubt_remote_services(&self.cluster, &why, refused));
    }
}
