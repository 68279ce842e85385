//! The source of an informer: what differs from one to another.

use crate::index::order::{Arrival, Order};
use crate::index::resource::WatchedResource;
use crate::index::store::Index;
use crate::informers::watch_scope::WatchScope;
use crate::kinds::{Kind, ObjectKey, ObjectRef};
use crate::telemetry::LastReceived;
use futures::Stream;
use kube::ResourceExt;
use kube::core::DynamicObject;
use kube::runtime::watcher::{self, Event};
use std::fmt;

/// What it means that objects may not be listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum IfForbidden {
    /// Nothing can be decided where they are.
    Hidden,
    /// They count as absent: the kind is optional.
    Absent,
    /// What was known of them stays, and the rest is not known.
    AsBefore,
}

/// Where the objects of an informer come from, and how they enter the index.
pub(crate) trait Source: Send + Sync + 'static {
    type Object: Clone + fmt::Debug + ResourceExt + Send + 'static;
    /// The resource that it lists and watches.
    fn resource(&self) -> WatchedResource;
    /// Enters an object. Returns the managed objects that it concerns.
    fn apply(
        &self,
        index: &mut Index,
        object: &Self::Object,
        arrival: Arrival<'_>,
    ) -> Vec<ObjectRef>;
    /// The order in which its objects enter; none where they come from the watch only.
    fn order<'a>(&self, _: &'a mut Index) -> Option<&'a mut Order> {
        None
    }
    /// Removes an object that is gone.
    fn remove(&self, index: &mut Index, key: &ObjectKey) -> Vec<ObjectRef>;
    /// The objects in the index, to find after a LIST which are gone.
    fn keys(&self, index: &Index) -> Vec<ObjectKey>;
    /// The failover object that an object is, for whoever needs more of it than the index keeps.
    fn managed<'a>(&self, _: &'a Self::Object) -> Option<(Kind, &'a DynamicObject)> {
        None
    }
    /// LIST and watch; `received` is when the API server has answered last.
    fn open(
        &self,
        received: LastReceived,
    ) -> impl Stream<Item = watcher::Result<Event<Self::Object>>> + Send;
    /// Looks up whether the cluster serves the kind, and in which version.
    fn discover(&mut self) -> impl Future<Output = kube::Result<bool>> + Send {
        std::future::ready(Ok(true))
    }
    /// Resolves when the cluster serves a better version than the one that is watched. Runs beside the
    /// watch.
    fn outdated(&self) -> impl Future<Output = ()> + Send {
        std::future::pending()
    }
    /// What a LIST that is forbidden means.
    fn if_forbidden(&self) -> IfForbidden {
        IfForbidden::Hidden
    }
    /// The LIST of this scope is forbidden, and nothing is known of it.
    fn forbidden(&self, _: &mut Index, _: &WatchScope) {}
    /// A LIST of this scope is complete, or the cluster has no such kind.
    fn listed(&self, _: &mut Index, _: &WatchScope, _kind_exists: bool) {}
}
