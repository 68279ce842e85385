//! The resources that the informers of this cluster list and watch.

use crate::kinds::Kind;

/// A resource that is listed and watched. One more is a variant, its place in [`Self::all`], its name and
/// what decisions need of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum WatchedResource {
    Services,
    EndpointSlices,
    /// The namespace of the program itself.
    OwnNamespace,
    /// The namespaces in which objects are managed.
    Namespaces,
    ServiceProfiles,
    ReferenceGrants,
    /// The Secrets of linked clusters, which may declare all Services of a cluster down.
    Credentials,
    /// The failover objects of a kind.
    Objects(Kind),
}

/// What has to be known of a resource before anything is decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Required {
    /// Its facts are complete.
    Complete,
    /// A LIST of it has been answered, or has failed: where it is not complete, only its own objects are
    /// not decided.
    Tried,
    /// Nothing: no decision about weights needs it.
    Nothing,
}

impl WatchedResource {
    /// Every resource; an object's kind needs no line of its own.
    pub(crate) fn all() -> impl Iterator<Item = Self> {
        let others = [
            Self::Services,
            Self::EndpointSlices,
            Self::OwnNamespace,
            Self::Namespaces,
            Self::ServiceProfiles,
            Self::ReferenceGrants,
            Self::Credentials,
        ];
        others.into_iter().chain(Kind::ALL.map(Self::Objects))
    }

    /// For logs.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Services => "services",
            Self::EndpointSlices => "endpointslices",
            Self::OwnNamespace => "namespace",
            Self::Namespaces => "namespaces",
            Self::ServiceProfiles => "serviceprofiles",
            Self::ReferenceGrants => "referencegrants",
            Self::Credentials => "secrets of linked clusters",
            Self::Objects(kind) => kind.plural(),
        }
    }

    pub(crate) fn required(self) -> Required {
        match self {
            Self::Services | Self::EndpointSlices | Self::OwnNamespace => Required::Complete,
            // Without them the chart's protection holds, and traffic moves all the same.
            Self::Objects(_) | Self::Namespaces => Required::Tried,
            // A new leader would return to a cluster that is declared down. Where they may not be read, no
            // cluster is.
            Self::Credentials => Required::Tried,
            Self::ServiceProfiles | Self::ReferenceGrants => Required::Nothing,
        }
    }
}

/// A set of resources, of the size of a number: it is compared at every change of the index.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct ResourceSet(u32);

impl ResourceSet {
    #[cfg(any(test, feature = "fuzzing"))]
    pub(crate) const ALL: Self = Self(u32::MAX);

    pub(crate) fn has(self, resource: WatchedResource) -> bool {
        self.0 & bit(resource) != 0
    }

    /// Adds a resource, or removes it. Returns whether it was there.
    pub(crate) fn set(&mut self, resource: WatchedResource, is_in: bool) -> bool {
        let was_in = self.has(resource);
        self.0 = if is_in { self.0 | bit(resource) } else { self.0 & !bit(resource) };
        was_in
    }
}

fn bit(resource: WatchedResource) -> u32 {
    let position = match resource {
        WatchedResource::Services => 0,
        WatchedResource::EndpointSlices => 1,
        WatchedResource::OwnNamespace => 2,
        WatchedResource::ServiceProfiles => 3,
        WatchedResource::ReferenceGrants => 4,
        WatchedResource::Namespaces => 5,
        WatchedResource::Credentials => 6,
        WatchedResource::Objects(kind) => 7 + kind as u32,
    };
    1 << position
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_resource_is_in_a_set_on_its_own() {
        for resource in WatchedResource::all() {
            let mut set = ResourceSet::default();
            assert!(!set.set(resource, true));
            let has: Vec<_> = WatchedResource::all().filter(|one| set.has(*one)).collect();
            assert_eq!(has, [resource]);
            assert!(set.set(resource, false));
            assert_eq!(set, ResourceSet::default());
        }
    }
}
