//! A LIST and the watch that follows it, as one stream.
//!
//! kube's `watcher` resumes a watch that ended, whatever ended it, and cannot tell a connection that
//! broke from one that was closed. Where the API server came back on an etcd that was restored from a
//! snapshot, a watch that is resumed at a version from before is silent until the numbers have grown
//! past it. Here only a watch that ended in its own time is resumed; after any other end the stream
//! ends too, and whoever reads it begins with a LIST.

use crate::clock::backoff::with_jitter;
use futures::stream::{self, BoxStream};
use futures::{Stream, StreamExt};
use kube::api::{ListParams, WatchEvent, WatchParams};
use kube::runtime::watcher::{Config, Error, Event, Result};
use kube::{Api, ResourceExt};
use serde::de::DeserializeOwned;
use std::collections::VecDeque;
use std::fmt::Debug;
use std::time::{Duration, Instant};

/// After how many seconds the API server ends a watch.
const WATCH_TIMEOUT: u32 = 25;

/// The client's read timeout: a connection that is silent for longer than a watch lasts is dead. No
/// cache is older than this.
pub(crate) const READ_TIMEOUT: Duration = Duration::from_secs(WATCH_TIMEOUT as u64 + 4);

/// The configuration of every watch.
pub(crate) fn config() -> Config {
    Config::default().timeout(WATCH_TIMEOUT)
}

/// A watch that has lasted for so long works.
pub(crate) const WORKS_AFTER: Duration = Duration::from_secs(5);

/// How much earlier than asked for a watch may end.
const EARLY: Duration = Duration::from_millis(500);
/// How much later; less than [`READ_TIMEOUT`] allows, after which the connection counts as dead.
const LATE: Duration = Duration::from_secs(3);

enum State<K> {
    Begins,
    Lists {
        objects: VecDeque<K>,
        next_page: Option<String>,
        version: Option<String>,
    },
    Listed(String),
    Watches {
        version: String,
        began: Instant,
        events: BoxStream<'static, kube::Result<WatchEvent<K>>>,
    },
    Ended,
}

/// Lists, then watches, until anything goes wrong.
pub(crate) fn list_watch<K>(
    api: Api<K>,
    config: Config,
) -> impl Stream<Item = Result<Event<K>>> + Send + use<K>
where
    K: kube::Resource + Clone + Debug + DeserializeOwned + Send + 'static,
{
    stream::unfold((State::Begins, api, config), async |(mut state, api, config)| {
        loop {
            let (event, next) = step(state, &api, &config).await;
            state = next;
            match event {
                Some(event) => return Some((event, (state, api, config))),
                None if matches!(state, State::Ended) => return None,
                None => {}
            }
        }
    })
}

/// Between the end of one and the next.
const AGAIN: Duration = Duration::from_secs(1);

/// The same without an end: each failure is followed by another LIST. Errors are dropped; for callers
/// that only want to look sooner than they would anyway.
pub(crate) fn follow<K>(api: Api<K>, fields: &str) -> impl Stream<Item = Event<K>> + Send + use<K>
where
    K: kube::Resource + Clone + Debug + DeserializeOwned + Send + 'static,
{
    let config = config().fields(fields);
    let begins = stream::unfold(false, async |again| {
        if again {
            tokio::time::sleep(with_jitter(AGAIN, fastrand::f64())).await;
        }
        Some(((), true))
    });
    let events = begins.flat_map(move |()| list_watch(api.clone(), config.clone()).boxed());
    events.filter_map(|event| std::future::ready(event.ok()))
}

async fn step<K>(
    state: State<K>,
    api: &Api<K>,
    config: &Config,
) -> (Option<Result<Event<K>>>, State<K>)
where
    K: kube::Resource + Clone + Debug + DeserializeOwned + Send + 'static,
{
    let fails = |error| (Some(Err(error)), State::Ended);
    match state {
        State::Begins => {
            let lists = State::Lists { objects: VecDeque::new(), next_page: None, version: None };
            (Some(Ok(Event::Init)), lists)
        }
        State::Lists { mut objects, next_page, version } => {
            if let Some(object) = objects.pop_front() {
                let lists = State::Lists { objects, next_page, version };
                return (Some(Ok(Event::InitApply(object))), lists);
            }
            if let (None, Some(version)) = (&next_page, &version) {
                return (Some(Ok(Event::InitDone)), State::Listed(version.clone()));
            }
            let list = match api.list(&page(config, next_page)).await {
                Ok(list) => list,
                Err(error) => return fails(Error::InitialListFailed(error)),
            };
            let version = list.metadata.resource_version.filter(|version| !version.is_empty());
            if version.is_none() {
                return fails(Error::NoResourceVersion);
            }
            let next_page = list.metadata.continue_.filter(|token| !token.is_empty());
            (None, State::Lists { objects: list.items.into(), next_page, version })
        }
        State::Listed(version) => {
            let params = WatchParams {
                label_selector: config.label_selector.clone(),
                field_selector: config.field_selector.clone(),
                timeout: config.timeout,
                bookmarks: config.bookmarks,
                send_initial_events: false,
            };
            let began = Instant::now();
            match api.watch(&params, &version).await {
                Ok(events) => (None, State::Watches { version, began, events: events.boxed() }),
                Err(error) => fails(Error::WatchStartFailed(error)),
            }
        }
        State::Watches { version, began, mut events } => {
            let event = match events.next().await {
                Some(Ok(event)) => event,
                Some(Err(error)) => return fails(Error::WatchFailed(error)),
                None if ended_in_time(began.elapsed(), config.timeout) => {
                    return (None, State::Listed(version));
                }
                None => return (None, State::Ended),
            };
            let (event, version) = match event {
                WatchEvent::Added(object) | WatchEvent::Modified(object) => {
                    let version = object.resource_version();
                    (Some(Event::Apply(object)), version)
                }
                WatchEvent::Deleted(object) => {
                    let version = object.resource_version();
                    (Some(Event::Delete(object)), version)
                }
                WatchEvent::Bookmark(mark) => (None, Some(mark.metadata.resource_version)),
                WatchEvent::Error(status) => return fails(Error::WatchError(status)),
            };
            match version.filter(|version| !version.is_empty()) {
                Some(version) => (event.map(Ok), State::Watches { version, began, events }),
                None => fails(Error::NoResourceVersion),
            }
        }
        State::Ended => (None, State::Ended),
    }
}

fn page(config: &Config, continue_token: Option<String>) -> ListParams {
    // No resourceVersion: what is committed, not what is cached.
    ListParams {
        label_selector: config.label_selector.clone(),
        field_selector: config.field_selector.clone(),
        limit: config.page_size,
        continue_token,
        ..ListParams::default()
    }
}

/// Whether a watch ended because its time was over.
fn ended_in_time(lasted: Duration, timeout: Option<u32>) -> bool {
    let Some(timeout) = timeout.map(|seconds| Duration::from_secs(seconds.into())) else {
        return false;
    };
    lasted + EARLY >= timeout && lasted <= timeout + LATE
}

#[cfg(test)]
#[path = "list_watch_tests.rs"]
mod tests;
