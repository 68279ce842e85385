//! One LIST of everything that is watched, into an index, without the watches that follow.

use crate::index::resource::WatchedResource;
use crate::index::shared_index::SharedIndex;
use crate::informers::reflector::Reflector;
use crate::informers::source::{IfForbidden, Source};
use crate::informers::sources::{Follow, WatchSettings, follow_all};
use crate::informers::watch_scope::WatchScope;
use crate::kinds::{Kind, ObjectKey, ObjectRef};
use crate::telemetry::LastReceived;
use futures::StreamExt;
use kube::Client;
use kube::core::DynamicObject;
use kube::core::response::reason;
use kube::runtime::watcher::{self, Event};
use std::collections::{BTreeMap, HashSet};
use std::fmt;
use std::pin::pin;
use std::sync::{Mutex, PoisonError};

/// A resource that could not be listed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct NotListed {
    pub resource: WatchedResource,
    /// None: in the cluster.
    pub namespace: Option<String>,
    pub why: ListFailure,
}

/// Why a LIST failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ListFailure {
    /// Whoever asks may not.
    Forbidden(String),
    Failed(String),
}

impl fmt::Display for NotListed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.resource.name())?;
        if let Some(namespace) = &self.namespace {
            write!(f, " in namespace {namespace}")?;
        }
        match &self.why {
            ListFailure::Forbidden(_) => f.write_str(" may not be listed"),
            ListFailure::Failed(why) => write!(f, " cannot be listed: {why}"),
        }
    }
}

/// What LISTs have found beside what is in the index.
#[derive(Debug, Default)]
pub(crate) struct Listed {
    /// The failover objects themselves.
    pub objects: BTreeMap<ObjectRef, DynamicObject>,
    pub failures: Vec<NotListed>,
}

/// Lists everything that decisions need once, in pages.
pub(crate) async fn list_all(
    client: &Client,
    settings: &WatchSettings,
    index: &SharedIndex,
) -> Listed {
    index.update(|index| {
        index.namespaces = settings.namespaces.clone();
        index.writes_profiles = settings.writes_profiles;
        vec![]
    });
    let lists = Lists { index, listed: Mutex::default() };
    follow_all(client, settings, &lists).await;
    lists.listed.into_inner().unwrap_or_else(PoisonError::into_inner)
}

struct Lists<'a> {
    index: &'a SharedIndex,
    listed: Mutex<Listed>,
}

impl Follow for Lists<'_> {
    async fn follow<S: Source>(&self, mut source: S, scope: WatchScope) {
        let resource = source.resource();
        let if_forbidden = source.if_forbidden();
        let namespace = scope.namespace().map(str::to_owned);
        let discovered = source.discover().await;
        let reflector = Reflector { source, scope, index: self.index.clone() };
        let listed = match discovered {
            Ok(true) => self.list(&reflector).await,
            Ok(false) => {
                reflector.replace_all(&HashSet::new(), false);
                Ok(())
            }
            Err(error) => Err(failure_of(error)),
        };
        let Err(why) = listed else { return };
        let is_forbidden = matches!(why, ListFailure::Forbidden(_));
        match (if_forbidden, &namespace) {
            (IfForbidden::Hidden, Some(namespace)) if is_forbidden => {
                reflector.forbid(namespace);
                reflector.replace_all(&HashSet::new(), true);
            }
            (IfForbidden::AsBefore, _) if is_forbidden => reflector.keep(),
            _ => reflector.interrupt(),
        }
        self.with(|listed| listed.failures.push(NotListed { resource, namespace, why }));
    }
}

impl Lists<'_> {
    async fn list<S: Source>(&self, reflector: &Reflector<S>) -> Result<(), ListFailure> {
        let mut keys = HashSet::new();
        let mut events = pin!(reflector.source.open(LastReceived::without_series()));
        while let Some(event) = events.next().await {
            let event = event.map_err(|error| match error {
                watcher::Error::InitialListFailed(error) => failure_of(error),
                other => ListFailure::Failed(other.to_string()),
            })?;
            let is_complete = matches!(event, Event::InitDone);
            if let Event::InitApply(object) = &event
                && let Some((kind, object)) = reflector.source.managed(object)
            {
                self.keep(kind, object);
            }
            reflector.handle(&mut keys, event);
            // The watch begins with what would come next.
            if is_complete {
                return Ok(());
            }
        }
        Err(ListFailure::Failed("it ended early".to_owned()))
    }

    fn keep(&self, kind: Kind, object: &DynamicObject) {
        let object_ref = ObjectRef::new(kind, ObjectKey::of(object));
        self.with(|listed| listed.objects.insert(object_ref, object.clone()));
    }

    fn with<T>(&self, change: impl FnOnce(&mut Listed) -> T) -> T {
        change(&mut self.listed.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

fn failure_of(error: kube::Error) -> ListFailure {
    match error {
        kube::Error::Api(status) if status.code == 403 && status.reason == reason::FORBIDDEN => {
            ListFailure::Forbidden(status.message.clone())
        }
        other => ListFailure::Failed(other.to_string()),
    }
}
