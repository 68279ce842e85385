//! A LIST and the watch that follows it, as one stream.
//!
//! kube's `watcher` resumes a watch that ended for whatever reason, and does not distinguish a connection
//! that broke from one that was closed. Where the API server came back on an etcd that was restored from a
//! snapshot, a watch that is resumed at an earlier version is silent until the numbers have grown past it.
//! Here only a watch that ended at its timeout is resumed; after any other end the stream ends too, and its
//! reader begins with a LIST.

use crate::clock::backoff::Backoff;
use crate::telemetry::LastReceived;
use futures::stream::{self, BoxStream};
use futures::{AsyncReadExt, Stream, StreamExt};
use kube::api::{ListParams, ObjectList, Request, WatchEvent, WatchParams};
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

/// After how long a watch counts as one that works.
pub(crate) const WORKS_AFTER: Duration = Duration::from_secs(5);

/// How much earlier than asked for a watch may end.
const EARLY: Duration = Duration::from_millis(500);
/// How much later; less than [`READ_TIMEOUT`] allows, after which the connection counts as dead.
const LATE: Duration = Duration::from_secs(3);

enum State<K> {
    Begins,
    /// The objects of a page that are not delivered yet, and what follows them.
    Lists {
        objects: VecDeque<K>,
        next: Next,
    },
    /// The LIST of this version is delivered, or a watch from it has ended at its timeout.
    Listed(String),
    Watches(OpenWatch<K>),
    Ended,
}

/// What follows a page of a LIST.
enum Next {
    /// A page, by the token of the one before it; the first has none.
    Page(Option<String>),
    /// The watch from the version of the LIST.
    Watch(String),
}

struct OpenWatch<K> {
    /// The version that it has come to.
    version: String,
    began: Instant,
    events: BoxStream<'static, kube::Result<WatchEvent<K>>>,
}

/// An event, where the step has one to deliver, and the state that follows.
type Step<K> = Result<(Option<Event<K>>, State<K>)>;

/// Lists, then watches, until an error or the end of a watch before its timeout. `received` is when the API
/// server has answered last.
pub(crate) fn list_watch<K>(
    api: Api<K>,
    config: Config,
    received: LastReceived,
) -> impl Stream<Item = Result<Event<K>>> + Send + use<K>
where
    K: kube::Resource + Clone + Debug + DeserializeOwned + Send + 'static,
{
    stream::unfold(
        (State::Begins, api, config, received),
        async |(mut state, api, config, received)| {
            while !matches!(state, State::Ended) {
                let is_answered = !matches!(state, State::Begins);
                let (event, next) = match step(state, &api, &config).await {
                    Ok((event, next)) => (event.map(Ok), next),
                    Err(error) => (Some(Err(error)), State::Ended),
                };
                state = next;
                if is_answered && !matches!(state, State::Ended) {
                    received.update();
                }
                if let Some(event) = event {
                    return Some((event, (state, api, config, received)));
                }
            }
            None
        },
    )
}

/// The same of a kind that the cluster may not have.
pub(crate) fn list_watch_optional<K>(
    api: &Option<Api<K>>,
    config: Config,
    received: LastReceived,
) -> impl Stream<Item = Result<Event<K>>> + Send + use<K>
where
    K: kube::Resource + Clone + Debug + DeserializeOwned + Send + 'static,
{
    let api = stream::iter(api.clone());
    api.flat_map(move |api| list_watch(api, config.clone(), received.clone()).boxed())
}

/// Between the end of a watch and the next LIST.
const RETRY: Backoff = Backoff::steps(&[Duration::from_secs(1)]);

/// [`list_watch`] without an end: each failure is followed by another LIST. Errors are dropped; for callers
/// that also look at intervals.
pub(crate) fn follow<K>(
    api: Api<K>,
    fields: &str,
    received: LastReceived,
) -> impl Stream<Item = Event<K>> + Send + use<K>
where
    K: kube::Resource + Clone + Debug + DeserializeOwned + Send + 'static,
{
    let config = config().fields(fields);
    let begins = stream::unfold(false, async |again| {
        if again {
            tokio::time::sleep(RETRY.jittered(1)).await;
        }
        Some(((), true))
    });
    let events = begins
        .flat_map(move |()| list_watch(api.clone(), config.clone(), received.clone()).boxed());
    events.filter_map(|event| std::future::ready(event.ok()))
}

async fn step<K>(state: State<K>, api: &Api<K>, config: &Config) -> Step<K>
where
    K: kube::Resource + Clone + Debug + DeserializeOwned + Send + 'static,
{
    match state {
        State::Begins => {
            let first = State::Lists { objects: VecDeque::new(), next: Next::Page(None) };
            Ok((Some(Event::Init), first))
        }
        State::Lists { mut objects, next } => match (objects.pop_front(), next) {
            (Some(object), next) => {
                Ok((Some(Event::InitApply(object)), State::Lists { objects, next }))
            }
            (None, Next::Page(token)) => list_page(api, config, token).await,
            (None, Next::Watch(version)) => Ok((Some(Event::InitDone), State::Listed(version))),
        },
        State::Listed(version) => open_watch(api, config, version).await,
        State::Watches(watch) => watch.next(config.timeout).await,
        State::Ended => Ok((None, State::Ended)),
    }
}

async fn list_page<K>(api: &Api<K>, config: &Config, token: Option<String>) -> Step<K>
where
    K: kube::Resource + Clone + Debug + DeserializeOwned,
{
    let list = read_page(api, &page(config, token)).await.map_err(Error::InitialListFailed)?;
    let version = given(list.metadata.resource_version).ok_or(Error::NoResourceVersion)?;
    let next = match given(list.metadata.continue_) {
        Some(token) => Next::Page(Some(token)),
        None => Next::Watch(version),
    };
    Ok((None, State::Lists { objects: list.items.into(), next }))
}

/// A page has hundreds of objects. Its text is in memory once; kube's own reader copies it twice.
async fn read_page<K>(api: &Api<K>, params: &ListParams) -> kube::Result<ObjectList<K>>
where
    K: kube::Resource + Clone + DeserializeOwned,
{
    let request = Request::new(api.resource_url()).list(params);
    let request = request.map_err(kube::Error::BuildRequest)?;
    let mut answer = api.clone().into_client().request_stream(request).await?;
    let mut page = vec![];
    answer.read_to_end(&mut page).await.map_err(kube::Error::ReadEvents)?;
    serde_json::from_slice(&page).map_err(kube::Error::SerdeError)
}

async fn open_watch<K>(api: &Api<K>, config: &Config, version: String) -> Step<K>
where
    K: Clone + Debug + DeserializeOwned + Send + 'static,
{
    let params = WatchParams {
        label_selector: config.label_selector.clone(),
        field_selector: config.field_selector.clone(),
        timeout: config.timeout,
        bookmarks: config.bookmarks,
        send_initial_events: false,
    };
    let began = Instant::now();
    let events = api.watch(&params, &version).await.map_err(Error::WatchStartFailed)?.boxed();
    Ok((None, State::Watches(OpenWatch { version, began, events })))
}

impl<K: ResourceExt> OpenWatch<K> {
    async fn next(mut self, timeout: Option<u32>) -> Step<K> {
        match self.events.next().await {
            Some(Ok(WatchEvent::Added(object) | WatchEvent::Modified(object))) => {
                self.at(object.resource_version(), Some(Event::Apply(object)))
            }
            Some(Ok(WatchEvent::Deleted(object))) => {
                self.at(object.resource_version(), Some(Event::Delete(object)))
            }
            Some(Ok(WatchEvent::Bookmark(mark))) => {
                self.at(Some(mark.metadata.resource_version), None)
            }
            Some(Ok(WatchEvent::Error(status))) => Err(Error::WatchError(status)),
            Some(Err(error)) => Err(Error::WatchFailed(error)),
            None if ended_at_timeout(self.began.elapsed(), timeout) => {
                Ok((None, State::Listed(self.version)))
            }
            None => Ok((None, State::Ended)),
        }
    }

    /// The watch has come to this version.
    fn at(self, version: Option<String>, event: Option<Event<K>>) -> Step<K> {
        let version = given(version).ok_or(Error::NoResourceVersion)?;
        Ok((event, State::Watches(Self { version, ..self })))
    }
}

/// An empty text stands for none.
fn given(text: Option<String>) -> Option<String> {
    text.filter(|text| !text.is_empty())
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

/// Whether a watch ended at its timeout.
fn ended_at_timeout(lasted: Duration, timeout: Option<u32>) -> bool {
    let Some(timeout) = timeout.map(|seconds| Duration::from_secs(seconds.into())) else {
        return false;
    };
    lasted + EARLY >= timeout && lasted <= timeout + LATE
}

#[cfg(test)]
#[path = "list_watch_tests.rs"]
mod tests;
