//! The watch of a linked cluster's slices: they become facts, and the state of the watch becomes the
//! cluster's reach.

use crate::index::remote::reach::Reach;
use crate::index::slice_table::SliceUpdate;
use crate::informers::list_watch::{WORKS_AFTER, config, list_watch};
use crate::informers::remote::diagnosis::next_event;
use crate::informers::remote::failure::RequestFailure;
use crate::informers::remote::link::Link;
use crate::informers::remote::requested_services::RequestedServices;
use crate::informers::remote::retry::pause;
use crate::informers::remote::watch_selector::WatchSelector;
use crate::informers::{endpoint_slices, resource_version};
use crate::kinds::ObjectKey;
use crate::kinds::partial::PartialSlice;
use crate::telemetry::LastReceived;
use kube::runtime::watcher::Event;
use std::collections::BTreeSet;
use std::pin::pin;
use std::time::Instant;

/// Why a watch ended.
enum Ended {
    /// Other Services are requested.
    Outdated,
    /// It worked before.
    Interrupted,
    Failed,
}

impl Link {
    /// Watches the slices of the requested Services, until dropped.
    pub(super) async fn watch_slices(&self) {
        let mut requests = RequestedServices::new(&self.index, &self.cluster);
        let mut failures = 0;
        let mut received = None;
        while let Some(requested) = requests.next(|| self.idle(&mut received)).await {
            let received = received
                .get_or_insert_with(|| self.watches.begin_in(&self.cluster, "endpointslices"));
            self.set_reach("", Reach::request);
            let began = Instant::now();
            // The first failure after a watch that worked.
            let first = failures <= 1;
            match self.watch_slices_once(&requested, &mut requests, received, first).await {
                Ended::Outdated => {
                    requests.debounce().await;
                    continue;
                }
                Ended::Interrupted if began.elapsed() > WORKS_AFTER => failures = 0,
                Ended::Interrupted | Ended::Failed => {}
            }
            tokio::time::sleep(pause(failures, self.time_left(), fastrand::f64())).await;
            failures += 1;
        }
    }

    /// Nothing is requested of the cluster, nor watched.
    fn idle(&self, received: &mut Option<LastReceived>) {
        *received = None;
        self.set_reach("", |reach, _| reach.idle());
    }

    async fn watch_slices_once(
        &self,
        requested: &BTreeSet<ObjectKey>,
        requests: &mut RequestedServices<'_>,
        received: &LastReceived,
        first: bool,
    ) -> Ended {
        let scope = WatchSelector::of(requested);
        let api = scope.api::<PartialSlice>(&self.client);
        let mut events = pin!(list_watch(api, config().labels(&scope.selector), received.clone()));
        let mut outdated = pin!(requests.changed_from(requested));
        let mut listed = vec![];
        let mut is_listed = false;
        loop {
            let event = tokio::select! {
                event = next_event(&mut events, is_listed) => event,
                () = &mut outdated => return Ended::Outdated,
            };
            match event {
                Ok(event) => {
                    is_listed |= matches!(event, Event::InitDone);
                    self.enter_slice(event, requested, &mut listed);
                }
                Err(failure) => return self.end_slices_watch(failure, is_listed, first),
            }
        }
    }

    /// Changes the cluster's reach by a failure.
    fn end_slices_watch(&self, failure: RequestFailure, is_listed: bool, first: bool) -> Ended {
        match failure {
            RequestFailure::Refused(why) => {
                self.set_reach(&why, |reach, _| reach.refused(why.clone()));
            }
            // The answer to the next LIST shows more.
            RequestFailure::Unreachable(why)
            | RequestFailure::Unverified(why)
            | RequestFailure::Failing(why)
                if is_listed =>
            {
                tracing::info!(cluster = self.cluster, why, "watch interrupted; listing again");
                self.set_reach(&why, Reach::interrupted);
                return Ended::Interrupted;
            }
            // It may have been a connection from before the watch broke: the retry comes at once.
            RequestFailure::Unreachable(why) if first && self.is_seen() => {
                tracing::info!(cluster = self.cluster, why, "listing failed; listing again");
            }
            RequestFailure::Unreachable(why) => self.set_reach(&why, Reach::failed),
            RequestFailure::Unverified(why) => {
                self.set_reach(&why, |reach, _| reach.unverified(why.clone()));
            }
            RequestFailure::Failing(why) => {
                self.set_reach(&why, |reach, _| reach.failing(why.clone()));
            }
        }
        Ended::Failed
    }

    fn enter_slice(
        &self,
        event: Event<PartialSlice>,
        requested: &BTreeSet<ObjectKey>,
        listed: &mut Vec<SliceUpdate>,
    ) {
        let cluster = &self.cluster;
        let is_requested =
            |update: &SliceUpdate| update.service.as_ref().is_some_and(|s| requested.contains(s));
        match event {
            Event::Init => listed.clear(),
            Event::InitApply(slice) => {
                let update = endpoint_slices::read(&slice, self.families);
                listed.extend(Some(update).filter(is_requested));
            }
            Event::InitDone => self.enter_slices(requested, std::mem::take(listed)),
            Event::Apply(slice) => {
                let mut update = endpoint_slices::read(&slice, self.families);
                // It no longer belongs to a requested Service.
                if !is_requested(&update) {
                    update.service = None;
                }
                self.index.update(|index| index.set_remote_slice(cluster, update));
            }
            Event::Delete(slice) => {
                let (slice, version) = (ObjectKey::of(&slice), resource_version::of_object(&slice));
                self.index.update(|index| index.delete_remote_slice(cluster, &slice, version));
            }
        }
    }

    /// Enters a complete LIST.
    fn enter_slices(&self, requested: &BTreeSet<ObjectKey>, listed: Vec<SliceUpdate>) {
        tracing::debug!(cluster = self.cluster, count = listed.len(), "listed");
        let mut transition = None;
        self.index.update(|index| {
            let (news, affected) = index.set_remote_listing(&self.cluster, requested, listed);
            transition = news;
            affected
        });
        self.report(transition, "");
    }
}
