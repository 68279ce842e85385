//! The watch of one linked cluster: what is wanted of it becomes facts, and what happens to the
//! watch becomes what is known of the cluster's reach.

use crate::engine::Now;
use crate::index::endpoints::AddressFamilies;
use crate::index::remote::reach::{Reach, Transition};
use crate::index::shared_index::SharedIndex;
use crate::index::slice_table::SliceUpdate;
use crate::informers::list_watch::config;
use crate::informers::list_watch::list_watch;
use crate::informers::remote::credentials::SecretName;
use crate::informers::remote::diagnosis;
use crate::informers::remote::failure::RequestFailure;
use crate::informers::remote::transitions::LinkTransition;
use crate::informers::remote::wanted::WatchSelector;
use crate::informers::{endpoint_slices, resource_version};
use crate::kinds::ObjectKey;
use futures::{Stream, StreamExt};
use jiff::SignedDuration;
use k8s_openapi::api::discovery::v1::EndpointSlice;
use kube::runtime::watcher::{self, Event};
use kube::{Api, Client};
use std::collections::BTreeSet;
use std::pin::pin;
use std::time::{Duration, Instant};
use tokio::sync::{Notify, mpsc, watch};

/// How long a page of a LIST may take.
const LISTING: Duration = Duration::from_secs(10);

/// After a failure. The first retry comes at once: a watch may end for any reason.
const RETRY: [Duration; 7] = [
    Duration::ZERO,
    Duration::from_millis(250),
    Duration::from_millis(500),
    Duration::from_secs(1),
    Duration::from_secs(2),
    Duration::from_secs(4),
    Duration::from_secs(8),
];

/// Not sooner, however little time is left.
const SOONEST: Duration = Duration::from_millis(250);

/// A watch that has lived for so long works.
const LIVED: Duration = Duration::from_secs(5);

/// Changes of what is wanted come in swarms, as objects are applied or listed.
pub(crate) const SWARM: Duration = Duration::from_millis(50);

/// One cluster, as it is linked by one kubeconfig.
pub(crate) struct Link {
    pub cluster: String,
    pub secret: SecretName,
    pub client: Client,
    pub families: AddressFamilies,
    /// How long it may be out of reach before that counts as down.
    pub limit: SignedDuration,
    pub shared: SharedIndex,
    pub say: mpsc::UnboundedSender<LinkTransition>,
}

/// Why a watch ended.
enum Ended {
    /// Something else is wanted.
    Renew,
    /// It worked before.
    Interrupted,
    Failed,
}

impl Link {
    /// Watches what is wanted, for as long as this is polled.
    pub(crate) async fn follow(self) {
        // What is known is told by what happens, and by time.
        let noted = Notify::new();
        tokio::join!(
            self.watch(&noted),
            self.keep_time(&noted),
            self.watch_services(),
            self.follow_mirrors()
        );
    }

    async fn watch(&self, noted: &Notify) {
        let mut changes = self.shared.wanted();
        let mut failures = 0;
        loop {
            changes.borrow_and_update();
            let wanted = self.wanted();
            if wanted.is_empty() {
                self.note(noted, "", |reach, _| reach.idle());
                if changes.changed().await.is_err() {
                    return;
                }
                tokio::time::sleep(SWARM).await;
                continue;
            }
            self.note(noted, "", Reach::ask);
            let began = Instant::now();
            // The first after one that worked.
            let first = failures <= 1;
            match self.watch_once(&wanted, &mut changes, noted, first).await {
                Ended::Renew => {
                    tokio::time::sleep(SWARM).await;
                    continue;
                }
                Ended::Interrupted if began.elapsed() > LIVED => failures = 0,
                Ended::Interrupted | Ended::Failed => {}
            }
            tokio::time::sleep(pause(failures, self.left(), fastrand::f64())).await;
            failures += 1;
        }
    }

    fn is_seen(&self) -> bool {
        self.shared.read().remote.reach(&self.cluster).is_some_and(Reach::is_seen)
    }

    /// In how long time alone changes what is known.
    fn left(&self) -> Option<Duration> {
        let now = self.shared.now();
        let reach = self.shared.read().remote.reach(&self.cluster).cloned();
        let left = reach.and_then(|reach| reach.next(now, self.limit));
        left.map(SignedDuration::unsigned_abs)
    }

    pub(crate) fn wanted(&self) -> BTreeSet<ObjectKey> {
        self.shared.read().wanted_of(&self.cluster)
    }

    async fn watch_once(
        &self,
        wanted: &BTreeSet<ObjectKey>,
        changes: &mut watch::Receiver<u64>,
        noted: &Notify,
        first: bool,
    ) -> Ended {
        let scope = WatchSelector::of(wanted);
        let api: Api<EndpointSlice> = match &scope.namespace {
            Some(namespace) => Api::namespaced(self.client.clone(), namespace),
            None => Api::all(self.client.clone()),
        };
        let mut events = pin!(list_watch(api, config().labels(&scope.selector)));
        let mut listed = vec![];
        let mut whole = false;
        loop {
            let event = tokio::select! {
                event = next(&mut events, whole) => event,
                Ok(()) = changes.changed() => match self.wanted() == *wanted {
                    true => continue,
                    false => return Ended::Renew,
                },
            };
            let failure = match event {
                Ok(event) => {
                    whole |= matches!(event, Event::InitDone);
                    self.take(event, wanted, &mut listed, noted);
                    continue;
                }
                Err(failure) => failure,
            };
            match failure {
                RequestFailure::Refused(why) => {
                    self.note(noted, &why, |reach, _| reach.refused(why.clone()));
                }
                // What the LIST is answered with tells more.
                RequestFailure::Unreachable(why)
                | RequestFailure::Unverified(why)
                | RequestFailure::Failing(why)
                    if whole =>
                {
                    tracing::info!(cluster = self.cluster, why, "watch interrupted; listing anew");
                    self.note(noted, &why, Reach::interrupted);
                    return Ended::Interrupted;
                }
                // It may have been a connection from before the watch broke: it is asked again at once.
                RequestFailure::Unreachable(why) if first && self.is_seen() => {
                    tracing::info!(cluster = self.cluster, why, "listing failed; listing again");
                }
                RequestFailure::Unreachable(why) => self.note(noted, &why, Reach::failed),
                RequestFailure::Unverified(why) => {
                    self.note(noted, &why, |reach, _| reach.unverified(why.clone()));
                }
                RequestFailure::Failing(why) => {
                    self.note(noted, &why, |reach, _| reach.failing(why.clone()));
                }
            }
            return Ended::Failed;
        }
    }

    fn take(
        &self,
        event: Event<EndpointSlice>,
        wanted: &BTreeSet<ObjectKey>,
        listed: &mut Vec<SliceUpdate>,
        noted: &Notify,
    ) {
        let cluster = &self.cluster;
        let is_wanted =
            |told: &SliceUpdate| told.service.as_ref().is_some_and(|s| wanted.contains(s));
        match event {
            Event::Init => listed.clear(),
            Event::InitApply(slice) => {
                listed.extend(Some(endpoint_slices::read(&slice, self.families)).filter(is_wanted));
            }
            Event::InitDone => {
                let listed = std::mem::take(listed);
                tracing::debug!(cluster, count = listed.len(), "listed");
                let mut what = None;
                self.shared.update(|index| {
                    let (told, affected) = index.set_remote_listing(cluster, wanted, listed);
                    what = told;
                    affected
                });
                self.tell(what, "");
                noted.notify_one();
            }
            Event::Apply(slice) => {
                let mut update = endpoint_slices::read(&slice, self.families);
                // One that is nobody's any more, of ours.
                if !is_wanted(&update) {
                    update.service = None;
                }
                self.shared.update(|index| index.set_remote_slice(cluster, update));
            }
            Event::Delete(slice) => {
                let (slice, version) = (ObjectKey::of(&slice), resource_version::of_object(&slice));
                self.shared.update(|index| index.delete_remote_slice(cluster, &slice, version));
            }
        }
    }

    /// Lets time do what it does to what is known.
    async fn keep_time(&self, noted: &Notify) {
        loop {
            let left = self.left();
            let due = async {
                match left {
                    Some(wait) => tokio::time::sleep(wait).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = due => self.note(noted, "no answer", |reach, now| reach.pass(now, self.limit)),
                () = noted.notified() => {}
            }
        }
    }

    fn note(&self, noted: &Notify, why: &str, change: impl FnOnce(&mut Reach, Now)) {
        let mut what = None;
        self.shared.update(|index| {
            let (told, affected) = index.note_reach(&self.cluster, change);
            what = told;
            affected
        });
        self.tell(what, why);
        noted.notify_one();
    }

    fn tell(&self, what: Option<Transition>, why: &str) {
        let Some(what) = what else { return };
        // Nobody listens while the program stops.
        let _ =
            self.say.send(LinkTransition::new(&self.cluster, &self.secret, what, why, self.limit));
    }
}

/// How long to wait after a failure: the longer the more there were, but the cluster is asked more
/// often before time alone changes what is known of it. Nothing is held to be lost or down for not
/// having been asked.
pub(crate) fn pause(failures: usize, left: Option<Duration>, jitter: f64) -> Duration {
    // With jitter: clusters that were lost together do not come back together.
    let pause = RETRY[failures.min(RETRY.len() - 1)].mul_f64(0.5 + jitter / 2.0);
    left.map_or(pause, |left| pause.min((left / 2).max(SOONEST)))
}

pub(crate) async fn next<K>(
    events: &mut (impl Stream<Item = watcher::Result<Event<K>>> + Unpin),
    whole: bool,
) -> Result<Event<K>, RequestFailure> {
    // A watch may be silent for as long as the client's read timeout lets it.
    let patience = if whole { Duration::MAX } else { LISTING };
    match tokio::time::timeout(patience, events.next()).await {
        Ok(Some(Ok(event))) => Ok(event),
        Ok(Some(Err(error))) => Err(failure(&error)),
        Ok(None) => Err(RequestFailure::Unreachable("the watch ended".into())),
        Err(_) => Err(RequestFailure::Unreachable("no answer".into())),
    }
}

fn failure(error: &watcher::Error) -> RequestFailure {
    match error {
        watcher::Error::InitialListFailed(error)
        | watcher::Error::WatchStartFailed(error)
        | watcher::Error::WatchFailed(error) => diagnosis::of(error),
        watcher::Error::WatchError(status) => RequestFailure::answered(status.code, &status.reason),
        watcher::Error::NoResourceVersion => {
            RequestFailure::Unreachable("a list without resourceVersion".into())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cluster_is_asked_again_before_time_makes_it_lost_or_down() {
        let ms = Duration::from_millis;
        assert_eq!(pause(0, None, 0.0), Duration::ZERO);
        assert_eq!(pause(1, Some(ms(60_000)), 1.0), ms(250));
        assert_eq!(pause(99, None, 1.0), ms(8_000));
        assert_eq!(pause(99, Some(ms(60_000)), 0.0), ms(4_000));
        for left in [ms(0), ms(1), ms(250), ms(1_000), ms(3_000), ms(60_000)] {
            for failures in 0..10 {
                let pause = pause(failures, Some(left), 1.0);
                assert!(pause <= (left / 2).max(SOONEST), "{failures} {left:?}: {pause:?}");
            }
        }
    }
}
