//! Runs an informer: events of its watch become facts in the index, and the objects that they concern are
//! reported at once.

use crate::clock::backoff::Backoff;
use crate::index::order::Arrival;
use crate::index::shared_index::SharedIndex;
use crate::informers::list_watch::WORKS_AFTER;
use crate::informers::resource_version;
use crate::informers::source::Source;
use crate::informers::watch_scope::WatchScope;
use crate::kinds::{ObjectKey, ObjectRef};
use futures::StreamExt;
use futures::future::join_all;
use kube::core::response::reason;
use kube::runtime::watcher::{self, Event};
use std::collections::HashSet;
use std::pin::pin;
use std::time::{Duration, Instant};
use thiserror::Error;

/// Watches a kind in each of the namespaces on its own; without any, in the whole cluster.
pub(crate) async fn watch_each<S: Source>(
    namespaces: &[String],
    source: impl Fn(&WatchScope) -> S,
    shared: &SharedIndex,
) {
    let scopes = WatchScope::each(namespaces).into_iter();
    join_all(scopes.map(|scope| watch(source(&scope), scope, shared.clone()))).await;
}

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
pub(crate) async fn watch<S: Source>(source: S, scope: WatchScope, index: SharedIndex) {
    let mut informer = Informer::new(source, scope, index);
    loop {
        let ended = informer.watch_once().await;
        if let Some(pause) = informer.end(ended) {
            tokio::time::sleep(pause).await;
        }
    }
}

/// LIST and watch of one kind in one scope.
struct Informer<S> {
    source: S,
    scope: WatchScope,
    index: SharedIndex,
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
    fn new(source: S, scope: WatchScope, index: SharedIndex) -> Self {
        Self {
            source,
            scope,
            index,
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
        match self.source.discover().await {
            Ok(true) => {}
            Ok(false) => return Ended::NoSuchKind,
            // A kind that was absent before is looked for again: no fact is in doubt.
            Err(_) if self.is_absence_reported => return Ended::NoSuchKind,
            Err(error) => return Ended::Failed(WatchFailure::Discovery(error)),
        }
        let mut listed = HashSet::new();
        let mut events = pin!(self.source.open());
        let mut outdated = pin!(self.source.outdated());
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
                    handle(&self.source, &self.scope, &self.index, &mut listed, event);
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
        begin(&self.source, &self.scope, &self.index);
        // A LIST that works beside a watch that does not must not become a loop of LISTs.
        if self.listed_at.take().is_some_and(|at| at.elapsed() > WORKS_AFTER) {
            self.failures = 0;
        }
        match ended {
            Ended::Outdated => {
                let kind = self.source.resource().name();
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
        self.was_served = false;
        if !std::mem::replace(&mut self.is_absence_reported, true) {
            tracing::info!("no {} in this cluster: looking again", self.source.resource().name());
        }
        allow(&self.source, &self.index, &self.scope);
        replace_all(&self.source, &self.index, &self.scope, &HashSet::new(), false);
        ABSENT
    }

    /// Without an optional resource all goes on, and without another nothing fails over in a namespace:
    /// it counts as empty. Without it in the whole cluster nothing is known.
    fn end_forbidden(&mut self) -> Duration {
        let name = self.source.resource().name();
        let is_news = !std::mem::replace(&mut self.is_forbidden_reported, true);
        match self.scope.namespace() {
            _ if self.source.may_be_forbidden() => {
                if is_news {
                    tracing::warn!("{name} may not be read: what they declare has no effect");
                }
            }
            Some(namespace) => {
                if is_news {
                    tracing::warn!(
                        namespace,
                        "{name} may not be read: nothing fails over in this namespace; is it gone, \
                         or without its RoleBinding?"
                    );
                }
                self.index.update(|index| {
                    index.forbidden.note(namespace, self.source.resource(), true);
                    vec![]
                });
            }
            None => return self.end_failed(&WatchFailure::Forbidden),
        }
        replace_all(&self.source, &self.index, &self.scope, &HashSet::new(), true);
        self.back_off()
    }

    fn end_failed(&mut self, why: &WatchFailure) -> Duration {
        let resource = self.source.resource();
        self.index.update(|index| {
            index.synced.set(resource, self.scope.set_synced(false));
            index.synced.set_tried(resource);
            vec![]
        });
        let ended = why.to_string();
        tracing::warn!(kind = resource.name(), ended, "watch failed; listing again");
        self.back_off()
    }
}

fn handle<S: Source>(
    source: &S,
    scope: &WatchScope,
    shared: &SharedIndex,
    listed: &mut HashSet<ObjectKey>,
    event: Event<S::Object>,
) {
    match event {
        Event::Init => {
            listed.clear();
            begin(source, scope, shared);
        }
        Event::InitApply(object) => {
            listed.insert(ObjectKey::of(&object));
            shared.update(|index| source.apply(index, &object, Arrival::Listed));
        }
        Event::InitDone => {
            tracing::debug!(kind = source.resource().name(), count = listed.len(), "listed");
            allow(source, shared, scope);
            replace_all(source, shared, scope, &std::mem::take(listed), true);
        }
        Event::Apply(object) => {
            shared.update(|index| source.apply(index, &object, Arrival::Watched));
        }
        Event::Delete(object) => shared.update(|index| {
            let key = ObjectKey::of(&object);
            let order = source.order(index);
            let is_removed =
                order.is_none_or(|order| order.delete(&key, resource_version::of_object(&object)));
            if is_removed { source.remove(index, &key) } else { vec![] }
        }),
    }
}

/// Begins the LIST: no answer past the watch enters before it is complete.
fn begin<S: Source>(source: &S, scope: &WatchScope, shared: &SharedIndex) {
    shared.update(|index| {
        if let Some(order) = source.order(index) {
            order.begin(scope.namespace());
        }
        vec![]
    });
}

/// Records that the resource may be read in this scope. If it could not before, all objects are reconciled.
fn allow<S: Source>(source: &S, shared: &SharedIndex, scope: &WatchScope) {
    let Some(namespace) = scope.namespace() else { return };
    shared.update(|index| {
        let news = index.forbidden.note(namespace, source.resource(), false);
        if news { index.object_refs() } else { vec![] }
    });
}

/// Removes what a LIST does not have, and marks the resource as synced. All objects are reconciled: they are
/// dropped from the queue while anything is not synced.
fn replace_all<S: Source>(
    source: &S,
    shared: &SharedIndex,
    scope: &WatchScope,
    listed: &HashSet<ObjectKey>,
    kind_exists: bool,
) {
    shared.update(|index| {
        let here = source.keys(index).into_iter().filter(|key| scope.covers(key));
        let gone: Vec<_> = here.filter(|key| !listed.contains(key)).collect();
        let mut affected: Vec<ObjectRef> =
            gone.iter().flat_map(|key| source.remove(index, key)).collect();
        if let Some(order) = source.order(index) {
            order.complete(scope.namespace());
        }
        let no_profiles = index.no_profiles;
        source.listed(index, scope, kind_exists);
        index.synced.set_tried(source.resource());
        // Once the kind is there, profiles are written: also the first one.
        let same_kinds = index.no_profiles == no_profiles;
        let was = index.synced.set(source.resource(), scope.set_synced(true));
        let nothing_new = was && same_kinds && gone.is_empty() && listed.is_empty();
        if !nothing_new {
            affected.extend(index.object_refs());
        }
        affected
    });
}

#[cfg(test)]
#[path = "watch_tests.rs"]
mod tests;
