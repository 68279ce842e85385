//! The watch of a linked cluster's Services, for the names of their ports.
//!
//! It does not change the cluster's reach, which follows from the watch of slices: without it a member may be
//! unknown, and never down.

use crate::index::remote::services::Versioned;
use crate::index::service_facts::ServiceFacts;
use crate::informers::list_watch::{config, list_watch};
use crate::informers::remote::diagnosis::next_event;
use crate::informers::remote::failure::RequestFailure;
use crate::informers::remote::link::Link;
use crate::informers::remote::requested_services::RequestedServices;
use crate::informers::remote::retry::pause;
use crate::informers::remote::watch_selector::WatchSelector;
use crate::informers::resource_version;
use crate::kinds::ObjectKey;
use crate::kinds::partial::PartialService;
use crate::telemetry::LastReceived;
use kube::runtime::watcher::Event;
use std::collections::{BTreeSet, HashMap};
use std::pin::pin;

impl Link {
    /// Watches the requested Services, until dropped.
    pub(super) async fn watch_services(&self) {
        let mut requests = RequestedServices::new(&self.index, &self.cluster);
        let mut failures = 0;
        let mut received = None;
        while let Some(requested) = requests.next(|| received = None).await {
            let received =
                received.get_or_insert_with(|| self.watches.begin_in(&self.cluster, "services"));
            let ended = self.watch_services_once(&requested, &mut requests, received).await;
            let Err((failure, was_listed)) = ended else {
                requests.debounce().await;
                continue;
            };
            failures = if was_listed { 0 } else { failures };
            self.doubt(failure, failures == 0);
            // Not at once, even where it worked before: a server that ends each watch is not asked
            // without a pause.
            failures += 1;
            tokio::time::sleep(pause(failures, None, fastrand::f64())).await;
        }
    }

    /// Watches until other Services are requested, or until it fails: then with whether it was listed.
    async fn watch_services_once(
        &self,
        requested: &BTreeSet<ObjectKey>,
        requests: &mut RequestedServices<'_>,
        received: &LastReceived,
    ) -> Result<(), (RequestFailure, bool)> {
        let scope = WatchSelector::of(requested);
        let api = scope.api::<PartialService>(&self.client);
        let mut events = pin!(list_watch(api, config().fields(&scope.services), received.clone()));
        let mut outdated = pin!(requests.changed_from(requested));
        let mut listed = HashMap::new();
        let mut is_listed = false;
        loop {
            let event = tokio::select! {
                event = next_event(&mut events, is_listed) => event,
                () = &mut outdated => return Ok(()),
            };
            let event = event.map_err(|failure| (failure, is_listed))?;
            is_listed |= matches!(event, Event::InitDone);
            self.enter_service(event, requested, &mut listed);
        }
    }

    fn enter_service(
        &self,
        event: Event<PartialService>,
        requested: &BTreeSet<ObjectKey>,
        listed: &mut HashMap<ObjectKey, Versioned>,
    ) {
        let cluster = &self.cluster;
        let read = |service: &PartialService| {
            let key = Some(ObjectKey::of(service)).filter(|key| requested.contains(key))?;
            Some((key, (resource_version::of_object(service), ServiceFacts::read(service))))
        };
        match event {
            Event::Init => listed.clear(),
            Event::InitApply(service) => listed.extend(read(&service)),
            Event::InitDone => {
                let listed = std::mem::take(listed);
                self.index
                    .update(|index| index.set_remote_services(cluster, requested.clone(), listed));
            }
            Event::Apply(service) => {
                let Some((key, versioned)) = read(&service) else { return };
                self.index.update(|index| index.set_remote_service(cluster, &key, versioned));
            }
            Event::Delete(service) => {
                let (key, version) =
                    (ObjectKey::of(&service), resource_version::of_object(&service));
                self.index.update(|index| index.delete_remote_service(cluster, &key, version));
            }
        }
    }

    /// Records that the facts of the Services may be outdated.
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
        self.index.update(|index| index.doubt_remote_services(&self.cluster, &why, refused));
    }
}
