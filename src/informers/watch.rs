//! The watches: Kubernetes' events become facts in the index, and the objects they concern are
//! handed on at once.

use crate::index::order::{Arrival, Order};
use crate::index::shared_index::SharedIndex;
use crate::index::store::{Index, Synced};
use crate::index::watch_scope::WatchScope;
use crate::informers::resource_version;
use crate::kinds::{ObjectKey, ObjectRef};
use futures::future::join_all;
use futures::{Stream, StreamExt};
use kube::ResourceExt;
use kube::core::response::reason;
use kube::runtime::watcher::{self, Event};
use std::collections::HashSet;
use std::fmt;
use std::pin::pin;
use std::time::{Duration, Instant};

/// A kind of facts: where they come from, and how they enter the index.
pub(crate) trait Source: Send + 'static {
    type Object: Clone + fmt::Debug + ResourceExt + Send + 'static;
    /// For logs and metrics: `services`.
    fn name(&self) -> &'static str;
    fn apply(
        &self,
        index: &mut Index,
        object: &Self::Object,
        arrival: Arrival<'_>,
    ) -> Vec<ObjectRef>;
    /// The order in which its objects enter; none where the watch is the only way in.
    fn order<'a>(&self, _: &'a mut Index) -> Option<&'a mut Order> {
        None
    }
    fn remove(&self, index: &mut Index, key: &ObjectKey) -> Vec<ObjectRef>;
    fn keys(&self, index: &Index) -> Vec<ObjectKey>;
    fn synced<'a>(&self, synced: &'a mut Synced) -> &'a mut bool;
    fn open(&self) -> impl Stream<Item = watcher::Result<Event<Self::Object>>> + Send;
    /// Looks whether the cluster has such a kind, and in which version.
    fn discover(&mut self) -> impl Future<Output = kube::Result<bool>> + Send {
        std::future::ready(Ok(true))
    }
    /// Resolves when the cluster serves a better version than the one that is watched. Beside the
    /// watch, which goes on.
    fn outdated(&self) -> impl Future<Output = ()> + Send {
        std::future::pending()
    }
    /// Whether a LIST that is forbidden counts as empty: what people may do without.
    fn may_be_forbidden(&self) -> bool {
        false
    }
    /// There is a first answer, whatever it is.
    fn tried(&self, _: &mut Synced) {}
    /// A LIST of this part is complete, or there is no such kind.
    fn listed(&self, _: &mut Index, _: &WatchScope, _kind_exists: bool) {}
}

/// Watches a kind in each of the namespaces on its own; without any, in the whole cluster.
pub(crate) async fn watch_each<S: Source>(
    namespaces: &[String],
    source: impl Fn(&WatchScope) -> S,
    shared: &SharedIndex,
) {
    let parts = WatchScope::each(namespaces).into_iter();
    join_all(parts.map(|part| watch(source(&part), part, shared.clone()))).await;
}

/// How long to wait after a failed watch: short, since nothing is written meanwhile.
const RETRY: [Duration; 5] = [
    Duration::from_millis(100),
    Duration::from_millis(250),
    Duration::from_millis(500),
    Duration::from_secs(1),
    Duration::from_secs(2),
];

/// How often to look for a kind that the cluster does not have.
const ABSENT: Duration = Duration::from_secs(5);

/// Why a watch ended.
enum Ended {
    /// Another version is to be watched; what is known holds until that is listed.
    Outdated,
    NoSuchKind,
    Forbidden,
    Failed(String),
}

impl From<watcher::Error> for Ended {
    /// Only Kubernetes' own word counts: a page of a load balancer says nothing of a kind, whatever
    /// its code, and a kind that is not there is told by discovery.
    fn from(error: watcher::Error) -> Self {
        match &error {
            watcher::Error::InitialListFailed(kube::Error::Api(status))
                if status.code == 403 && status.reason == reason::FORBIDDEN =>
            {
                Self::Forbidden
            }
            _ => Self::Failed(error.to_string()),
        }
    }
}

impl fmt::Display for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Outdated => "the cluster serves a better version",
            Self::NoSuchKind => "the cluster has no such kind",
            Self::Forbidden => "it may not be read",
            Self::Failed(why) => why,
        })
    }
}

/// A watch that has lived for so long works.
const LIVED: Duration = Duration::from_secs(5);

pub(crate) async fn watch<S: Source>(mut source: S, part: WatchScope, shared: SharedIndex) {
    let (mut failures, mut was_absent) = (0, false);
    let mut whole: Option<Instant> = None;
    let mut said_absent = false;
    let mut said_forbidden = false;
    loop {
        let mut listed = HashSet::new();
        let ended = match source.discover().await {
            Ok(false) => Ended::NoSuchKind,
            // What was not there a moment ago is looked for again: nothing that is known is in doubt.
            Err(_) if said_absent => Ended::NoSuchKind,
            Err(error) => Ended::Failed(error.to_string()),
            Ok(true) => {
                let mut events = pin!(source.open());
                let mut outdated = pin!(source.outdated());
                loop {
                    let event = tokio::select! {
                        event = events.next() => event,
                        () = &mut outdated => break Ended::Outdated,
                    };
                    match event {
                        Some(Ok(event)) => {
                            if matches!(event, Event::InitDone) {
                                whole = Some(Instant::now());
                                said_absent = false;
                                said_forbidden = false;
                            }
                            handle(&source, &part, &shared, &mut listed, event);
                        }
                        Some(Err(error)) => break Ended::from(error),
                        None => break Ended::Failed("it ended before its time".into()),
                    }
                }
            }
        };
        begin(&source, &part, &shared);
        // A LIST that works beside a watch that does not must not become a loop of LISTs.
        if whole.take().is_some_and(|whole| whole.elapsed() > LIVED) {
            failures = 0;
        }
        // After any interruption the facts are old until they have been listed again: nothing is
        // written from them. Beginning anew says so also where the watch could be resumed, since a
        // resumed watch of a quiet kind gives no sign of life.
        match (ended, part.namespace()) {
            (Ended::Outdated, _) => {
                tracing::info!(kind = source.name(), "served in a better version: listing anew");
                continue;
            }
            (Ended::Forbidden, _) if source.may_be_forbidden() => {
                if !std::mem::replace(&mut said_forbidden, true) {
                    tracing::warn!(
                        "{} may not be read: what is said there has no effect",
                        source.name()
                    );
                }
                replace_all(&source, &shared, &part, &HashSet::new(), true);
            }
            (Ended::Forbidden, Some(namespace)) => {
                if !std::mem::replace(&mut said_forbidden, true) {
                    tracing::warn!(
                        namespace,
                        "{} may not be read: nothing fails over in this namespace; is it gone, or \
                         without its RoleBinding?",
                        source.name()
                    );
                }
                shared.update(|index| {
                    index.forbidden.note(namespace, source.name(), true);
                    vec![]
                });
                replace_all(&source, &shared, &part, &HashSet::new(), true);
            }
            (Ended::NoSuchKind, _) => {
                if !std::mem::replace(&mut said_absent, true) {
                    tracing::info!("no {} in this cluster: looking again", source.name());
                }
                was_absent = true;
                readable(&source, &shared, &part);
                replace_all(&source, &shared, &part, &HashSet::new(), false);
            }
            (ended, _) => {
                shared.update(|index| {
                    *source.synced(&mut index.synced) = part.is_whole(false);
                    source.tried(&mut index.synced);
                    vec![]
                });
                tracing::warn!(kind = source.name(), %ended, "watch failed; listing anew");
            }
        }
        let absent = std::mem::take(&mut was_absent);
        let wait = if absent { ABSENT } else { RETRY[failures.min(RETRY.len() - 1)] };
        tokio::time::sleep(wait).await;
        failures += usize::from(!absent);
    }
}

fn handle<S: Source>(
    source: &S,
    part: &WatchScope,
    shared: &SharedIndex,
    listed: &mut HashSet<ObjectKey>,
    event: Event<S::Object>,
) {
    match event {
        Event::Init => {
            listed.clear();
            begin(source, part, shared);
        }
        Event::InitApply(object) => {
            listed.insert(ObjectKey::of(&object));
            shared.update(|index| source.apply(index, &object, Arrival::Listed));
        }
        Event::InitDone => {
            tracing::debug!(kind = source.name(), count = listed.len(), "listed");
            readable(source, shared, part);
            replace_all(source, shared, part, &std::mem::take(listed), true);
        }
        Event::Apply(object) => {
            shared.update(|index| source.apply(index, &object, Arrival::Watched));
        }
        Event::Delete(object) => shared.update(|index| {
            let key = ObjectKey::of(&object);
            let order = source.order(index);
            let goes =
                order.is_none_or(|order| order.delete(&key, resource_version::of_object(&object)));
            if goes { source.remove(index, &key) } else { vec![] }
        }),
    }
}

/// Nothing that is under way enters before the watch has been listed.
fn begin<S: Source>(source: &S, part: &WatchScope, shared: &SharedIndex) {
    shared.update(|index| {
        if let Some(order) = source.order(index) {
            order.begin(part.namespace());
        }
        vec![]
    });
}

/// A kind may be read here, perhaps again: then everything here is decided anew.
fn readable<S: Source>(source: &S, shared: &SharedIndex, part: &WatchScope) {
    let Some(namespace) = part.namespace() else { return };
    shared.update(|index| {
        let news = index.forbidden.note(namespace, source.name(), false);
        if news { index.object_refs() } else { vec![] }
    });
}

/// Removes what a LIST no longer has, and marks the kind as whole. Everything is decided anew:
/// what changed while nothing could be written has been heard and put aside.
fn replace_all<S: Source>(
    source: &S,
    shared: &SharedIndex,
    part: &WatchScope,
    listed: &HashSet<ObjectKey>,
    kind_exists: bool,
) {
    shared.update(|index| {
        let here = source.keys(index).into_iter().filter(|key| part.covers(key));
        let gone: Vec<_> = here.filter(|key| !listed.contains(key)).collect();
        // Whatever else is known of what went meanwhile goes too.
        let mut affected: Vec<ObjectRef> =
            gone.iter().flat_map(|key| source.remove(index, key)).collect();
        if let Some(order) = source.order(index) {
            order.complete(part.namespace());
        }
        let no_profiles = index.no_profiles;
        source.listed(index, part, kind_exists);
        source.tried(&mut index.synced);
        // Where there are any, they are written: also the first one.
        let same_kinds = index.no_profiles == no_profiles;
        let was = std::mem::replace(source.synced(&mut index.synced), part.is_whole(true));
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
