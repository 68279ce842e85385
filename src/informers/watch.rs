//! Runs an informer: it lists, watches, retries, and reflects the events into the index.

use crate::clock::backoff::Backoff;
use crate::index::shared_index::SharedIndex;
use crate::informers::list_watch::WORKS_AFTER;
use crate::informers::reflector::Reflector;
use crate::informers::source::{IfForbidden, Source};
use crate::informers::watch_scope::WatchScope;
use crate::telemetry::{LastReceived, WatchMetrics};
use futures::StreamExt;
use kube::core::response::reason;
use kube::runtime::watcher::{self, Event};
use std::collections::HashSet;
use std::pin::pin;
use std::time::{Duration, Instant};
use thiserror::Error;

/// How long to wait after a failed watch: short, since nothing is written meanwhile.
const RETRY: Backoff = Backoff::steps(&[
    Duration::from_millis(100),
    Duration::from_millis(250),
    Duration::from_millis(500),
    Duration::from_secs(1),
    Duration::from_secs(2),
]);

/// How often to look for a kind that the cluster does not have.
const ABSENT: Duration = Duration::from_secs(5);

/// An API server that has just started does not serve the kinds of CustomResourceDefinitions yet, nor list
/// their groups. A kind that has been served counts as gone only when it is missing for so long; until then
/// its objects stay in the index, and nothing is written from them.
const GONE_AFTER: Duration = Duration::from_secs(20);

/// Why a watch ended.
enum Ended {
    /// Another version is to be watched; the facts stay until that is listed.
    Outdated,
    NoSuchKind,
    Forbidden,
    Failed(WatchFailure),
}

/// Why a watch failed, for logs.
#[derive(Debug, Error)]
enum WatchFailure {
    #[error("{0}")]
    Discovery(kube::Error),
    #[error("{0}")]
    Watch(watcher::Error),
    #[error("it ended before its time")]
    EndedEarly,
    #[error("the API server does not serve the kind at the moment")]
    NotServed,
    #[error("it may not be read")]
    Forbidden,
}

impl From<watcher::Error> for Ended {
    /// Only a `Status` of Kubernetes counts: the page of a load balancer says nothing about a kind, whatever
    /// its code. Whether there is such a kind is known from discovery.
    fn from(error: watcher::Error) -> Self {
        match &error {
            watcher::Error::InitialListFailed(kube::Error::Api(status))
                if status.code == 403 && status.reason == reason::FORBIDDEN =>
            {
                Self::Forbidden
            }
            _ => Self::Failed(WatchFailure::Watch(error)),
        }
    }
}

/// Runs an informer, until dropped.
pub(crate) async fn watch<S: Source>(
    source: S,
    scope: WatchScope,
    index: SharedIndex,
    watches: WatchMetrics,
) {
    let mut informer = Informer::new(source, scope, index, watches);
    loop {
        let ended = informer.watch_once().await;
        if let Some(pause) = informer.end(ended) {
            tokio::time::sleep(pause).await;
        }
    }
}

/// LIST and watch of one kind in one scope.
struct Informer<S> {
    reflector: Reflector<S>,
    watches: WatchMetrics,
    /// None where there is nothing to be watched.
    received: Option<LastReceived>,
    /// How many in a row.
    failures: u32,
    /// When the LIST of the present watch was complete.
    listed_at: Option<Instant>,
    /// It has been listed since the cluster was last without the kind.
    was_served: bool,
    /// Since when it has not been served.
    missing_since: Option<Instant>,
    is_absence_reported: bool,
    is_forbidden_reported: bool,
}

impl<S: Source> Informer<S> {
    fn new(source: S, scope: WatchScope, index: SharedIndex, watches: WatchMetrics) -> Self {
        Self {
            received: Some(watches.begin(source.resource().name())),
            watches,
            reflector: Reflector { source, scope, index },
            failures: 0,
            listed_at: None,
            was_served: false,
            missing_since: None,
            is_absence_reported: false,
            is_forbidden_reported: false,
        }
    }

    /// Lists and watches until that ends.
    async fn watch_once(&mut self) -> Ended {
        match self.reflector.source.discover().await {
            Ok(true) => {}
            Ok(false) => return Ended::NoSuchKind,
            // A kind that was absent before is looked for again: no fact is in doubt.
            Err(_) if self.is_absence_reported => return Ended::NoSuchKind,
            Err(error) => return Ended::Failed(WatchFailure::Discovery(error)),
        }
        let mut listed = HashSet::new();
        let resource = self.reflector.source.resource().name();
        let received = self.received.get_or_insert_with(|| self.watches.begin(resource)).clone();
        let mut events = pin!(self.reflector.source.open(received));
        let mut outdated = pin!(self.reflector.source.outdated());
        loop {
            let event = tokio::select! {
                event = events.next() => event,
                () = &mut outdated => return Ended::Outdated,
            };
            match event {
                Some(Ok(event)) => {
                    if matches!(event, Event::InitDone) {
                        self.listed_at = Some(Instant::now());
                        (self.was_served, self.missing_since) = (true, None);
                        self.is_absence_reported = false;
                        self.is_forbidden_reported = false;
                    }
                    self.reflector.handle(&mut listed, event);
                }
                Some(Err(error)) => return Ended::from(error),
                None => return Ended::Failed(WatchFailure::EndedEarly),
            }
        }
    }

    /// Records that the watch has ended. Returns how long to wait before the next.
    ///
    /// After any interruption the facts are old until they are listed again, and nothing is written
    /// from them: also where the watch could be resumed, since a resumed watch of a quiet kind shows
    /// no sign of life.
    fn end(&mut self, ended: Ended) -> Option<Duration> {
        self.reflector.begin();
        // A LIST that works beside a watch that does not must not become a loop of LISTs.
        if self.listed_at.take().is_some_and(|at| at.elapsed() > WORKS_AFTER) {
            self.failures = 0;
        }
        match ended {
            Ended::Outdated => {
                let kind = self.reflector.source.resource().name();
                tracing::info!(kind, "served in a better version: listing again");
                None
            }
            Ended::NoSuchKind if self.may_come_back(Instant::now()) => {
                Some(self.end_failed(&WatchFailure::NotServed))
            }
            Ended::NoSuchKind => Some(self.end_absent()),
            Ended::Forbidden => Some(self.end_forbidden()),
            Ended::Failed(failure) => Some(self.end_failed(&failure)),
        }
    }

    /// Counts a failure. Returns how long to wait after it.
    fn back_off(&mut self) -> Duration {
        self.failures = self.failures.saturating_add(1);
        RETRY.after(self.failures)
    }

    /// Whether a kind that is not served now was served a moment ago.
    fn may_come_back(&mut self, now: Instant) -> bool {
        let since = *self.missing_since.get_or_insert(now);
        self.was_served && now.duration_since(since) < GONE_AFTER
    }

    fn end_absent(&mut self) -> Duration {
        (self.was_served, self.received) = (false, None);
        if !std::mem::replace(&mut self.is_absence_reported, true) {
            tracing::info!(
                "no {} in this cluster: looking again",
                self.reflector.source.resource().name()
            );
        }
        self.reflector.allow();
        self.reflector.replace_all(&HashSet::new(), false);
        ABSENT
    }

    /// Without an optional resource all goes on, and without another nothing fails over in a namespace:
    /// it counts as empty. Where it may not be read in the cluster, nothing is known.
    fn end_forbidden(&mut self) -> Duration {
        let is_news = !std::mem::replace(&mut self.is_forbidden_reported, true);
        let (if_forbidden, scope) = (self.reflector.source.if_forbidden(), &self.reflector.scope);
        match (if_forbidden, scope.namespace()) {
            (IfForbidden::Hidden, None) => return self.end_failed(&WatchFailure::Forbidden),
            (IfForbidden::Hidden, Some(namespace)) => self.reflector.forbid(namespace),
            (IfForbidden::Absent | IfForbidden::AsBefore, _) => {}
        }
        if is_news {
            self.warn_forbidden(if_forbidden);
        }
        match if_forbidden {
            IfForbidden::AsBefore => self.reflector.keep(),
            IfForbidden::Absent | IfForbidden::Hidden => {
                self.reflector.replace_all(&HashSet::new(), true);
            }
        }
        self.received = None;
        self.back_off()
    }

    fn warn_forbidden(&self, if_forbidden: IfForbidden) {
        let Reflector { source, scope, .. } = &self.reflector;
        let (name, namespace) = (source.resource().name(), scope.namespace());
        match if_forbidden {
            IfForbidden::Absent => {
                tracing::warn!("{name} may not be read: what they declare has no effect");
            }
            IfForbidden::AsBefore => {
                tracing::warn!(
                    namespace,
                    "{name} may not be read: what is not known stays as it is"
                );
            }
            IfForbidden::Hidden => tracing::warn!(
                namespace,
                "{name} may not be read: nothing fails over in this namespace; is it gone, \
                 or without its RoleBinding?"
            ),
        }
    }

    fn end_failed(&mut self, why: &WatchFailure) -> Duration {
        self.reflector.interrupt();
        let (kind, ended) = (self.reflector.source.resource().name(), why.to_string());
        tracing::warn!(kind, ended, "watch failed; listing again");
        self.back_off()
    }
}

#[cfg(test)]
#[path = "watch_tests.rs"]
mod tests;
