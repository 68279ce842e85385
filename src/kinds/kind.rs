//! The kinds of failover objects. A new kind is an [`Adapter`] of its own, and three lines
//! here: a variant, its place in [`Kind::ALL`], and its adapter in [`Kind::adapter`].

use crate::engine::{Declaration, Shape, work};
use crate::kinds::adapter::{Adapter, InUse};
use crate::kinds::retries::Retry;
use crate::kinds::{route, traffic_split};
use kube::core::{ApiResource, DynamicObject};
use std::fmt;

/// A kind of object that names a primary and its fallbacks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// `split.smi-spec.io`
    #[default]
    TrafficSplit,
    /// `gateway.networking.k8s.io`
    HttpRoute,
    /// `gateway.networking.k8s.io`
    GrpcRoute,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Self; 3] = [Self::TrafficSplit, Self::HttpRoute, Self::GrpcRoute];

    /// The kind whose weights ServiceProfiles have: their marks and owner references name an object of it.
    pub(crate) const OF_SERVICE_PROFILES: Self = Self::TrafficSplit;

    fn adapter(self) -> &'static Adapter {
        match self {
            Self::TrafficSplit => &traffic_split::ADAPTER,
            Self::HttpRoute => &route::HTTP,
            Self::GrpcRoute => &route::GRPC,
        }
    }

    /// The kind of this name in this group, if it is one of ours.
    pub fn of(group: &str, kind: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|ours| ours.group() == group && ours.as_str() == kind)
    }

    /// As manifests call it.
    pub fn as_str(self) -> &'static str {
        self.adapter().kind
    }

    /// As the API and kubectl call them.
    pub fn plural(self) -> &'static str {
        self.adapter().plural
    }

    /// The full name, which kubectl takes for no other group's kind.
    pub fn resource(self) -> String {
        format!("{}.{}", self.plural(), self.group())
    }

    /// Its API group.
    pub fn group(self) -> &'static str {
        self.adapter().group
    }

    /// The versions that are read, the best first.
    pub fn versions(self) -> &'static [&'static str] {
        self.adapter().versions
    }

    /// Where the API serves it in this version.
    pub fn api_resource(self, version: &str) -> ApiResource {
        self.adapter().api_resource(version)
    }

    /// Reads the declaration; what cannot be read is in its `unreadable`.
    pub fn read(self, object: &DynamicObject) -> Declaration {
        work::parsed((self.adapter().read)(object))
    }

    /// Whether several of the kind may steer one Service.
    pub(crate) fn adds_up(self) -> bool {
        self.adapter().adds_up
    }

    /// Whether Linkerd follows the kind only through ServiceProfiles.
    pub(crate) fn needs_service_profile(self) -> bool {
        self.adapter().needs_service_profile
    }

    /// The retries that `protection: seamless` includes; none: Linkerd has none for the kind.
    pub(crate) fn retries(self) -> &'static [Retry] {
        self.adapter().retries
    }

    /// The kind's field names, and its limits.
    pub(crate) fn shape(self) -> &'static Shape {
        &self.adapter().shape
    }

    /// Whether Linkerd routes by an object.
    pub(crate) fn in_use(self, object: &DynamicObject) -> InUse {
        (self.adapter().in_use)(object)
    }

    /// The field path of all weights, for people.
    pub(crate) fn weights_path(self) -> &'static str {
        self.adapter().weights_path
    }

    /// The managed fields that hold weights.
    pub(crate) fn weights_pointer(self) -> &'static str {
        self.adapter().weights_pointer
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn service_profiles_are_of_the_one_kind_that_needs_them() {
        let needing: Vec<Kind> =
            Kind::ALL.into_iter().filter(|k| k.needs_service_profile()).collect();
        assert_eq!(needing, [Kind::OF_SERVICE_PROFILES]);
    }
}
