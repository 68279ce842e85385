//! Which facts are complete.

use crate::index::resource::{Required, ResourceSet, WatchedResource};
use crate::kinds::Kind;

/// Which facts are complete: listed since the last interruption of their watch. A resource that the
/// cluster does not have is complete.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Synced {
    complete: ResourceSet,
    /// The resources that have been listed since the start, or could not be.
    tried: ResourceSet,
}

impl Synced {
    /// Everything is complete.
    #[cfg(any(test, feature = "fuzzing"))]
    pub(crate) const ALL: Self = Self { complete: ResourceSet::ALL, tried: ResourceSet::ALL };

    /// Whether the facts of a resource are complete.
    pub(crate) fn has(self, resource: WatchedResource) -> bool {
        self.complete.has(resource)
    }

    /// Records whether the facts of a resource are complete. Returns whether they were.
    pub(crate) fn set(&mut self, resource: WatchedResource, is_complete: bool) -> bool {
        self.complete.set(resource, is_complete)
    }

    /// Records that a first LIST was answered, or failed.
    pub(crate) fn set_tried(&mut self, resource: WatchedResource) {
        self.tried.set(resource, true);
    }

    /// Whether the failover objects of every kind are complete.
    pub(crate) fn has_all_objects(self) -> bool {
        Kind::ALL.into_iter().all(|kind| self.has(WatchedResource::Objects(kind)))
    }

    /// Whether everything is complete that any decision needs, and every kind of object has been looked
    /// for.
    pub(crate) fn all(self) -> bool {
        self.lacking().next().is_none()
    }

    /// What of that is not complete.
    pub(crate) fn lacking(self) -> impl Iterator<Item = WatchedResource> {
        WatchedResource::all().filter(move |resource| self.lacks(*resource))
    }

    /// Whether decisions have to wait for a resource.
    pub(crate) fn lacks(self, resource: WatchedResource) -> bool {
        match resource.required() {
            Required::Complete => !self.complete.has(resource),
            Required::Tried => !self.tried.has(resource),
            Required::Nothing => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn profiles_and_grants_are_not_waited_for_and_objects_and_namespaces_until_they_are_looked_for()
    {
        let mut synced = Synced::default();
        let lacking =
            |synced: Synced| synced.lacking().map(WatchedResource::name).collect::<Vec<_>>();
        let kinds = Kind::ALL.map(Kind::plural);
        let all =
            ["services", "endpointslices", "namespace", "namespaces", "secrets of linked clusters"];
        let all = all.into_iter().chain(kinds);
        assert_eq!(lacking(synced), all.collect::<Vec<_>>());
        for resource in WatchedResource::all() {
            match resource.required() {
                Required::Complete => drop(synced.set(resource, true)),
                Required::Tried => synced.set_tried(resource),
                Required::Nothing => {}
            }
        }
        assert!(synced.all() && !synced.has_all_objects());
        synced.set(WatchedResource::Services, false);
        assert_eq!(lacking(synced), ["services"]);
    }
}
