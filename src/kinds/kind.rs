//! The kinds of failover objects. A new kind is a variant here, and an adapter that reads a
//! [`Declaration`] from it.

use crate::engine::{Declaration, Shape};
use crate::kinds::route::{self, InUse};
use crate::kinds::traffic_split;
use kube::core::{ApiResource, DynamicObject, GroupVersionKind};
use std::fmt;

/// A kind of object that says who is primary and who is backup.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    #[default]
    TrafficSplit,
    HttpRoute,
    GrpcRoute,
}

impl Kind {
    pub const ALL: [Self; 3] = [Self::TrafficSplit, Self::HttpRoute, Self::GrpcRoute];

    /// The kind of this name in this group, if it is one of ours.
    pub fn of(group: &str, kind: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|ours| ours.group() == group && ours.as_str() == kind)
    }

    pub fn as_str(self) -> &'static str {
        match self {
            Self::TrafficSplit => "TrafficSplit",
            Self::HttpRoute => "HTTPRoute",
            Self::GrpcRoute => "GRPCRoute",
        }
    }

    /// As the API and kubectl call them.
    pub fn plural(self) -> &'static str {
        match self {
            Self::TrafficSplit => "trafficsplits",
            Self::HttpRoute => "httproutes",
            Self::GrpcRoute => "grpcroutes",
        }
    }

    /// The full name, which kubectl takes for no other group's kind.
    pub fn resource(self) -> String {
        format!("{}.{}", self.plural(), self.group())
    }

    pub fn group(self) -> &'static str {
        match self {
            Self::TrafficSplit => "split.smi-spec.io",
            Self::HttpRoute | Self::GrpcRoute => route::GROUP,
        }
    }

    /// The versions that the adapter reads, the best first: what a cluster serves of them is found
    /// out there.
    pub fn versions(self) -> &'static [&'static str] {
        match self {
            // All have the backends alike. Read through an older one, a split loses the `matches` that
            // a newer one has, and a patch would store it without them.
            Self::TrafficSplit => &["v1alpha4", "v1alpha3", "v1alpha2", "v1alpha1"],
            Self::HttpRoute => &["v1", "v1beta1"],
            Self::GrpcRoute => &["v1", "v1alpha2"],
        }
    }

    /// Where the API serves it in this version.
    pub fn api_resource(self, version: &str) -> ApiResource {
        let gvk = GroupVersionKind::gvk(self.group(), version, self.as_str());
        ApiResource::from_gvk_with_plural(&gvk, self.plural())
    }

    /// Reads the declaration; what cannot be read is in its `unreadable`.
    pub fn read(self, object: &DynamicObject) -> Declaration {
        match self {
            Self::TrafficSplit => traffic_split::read(object),
            Self::HttpRoute | Self::GrpcRoute => route::read(object),
        }
    }

    /// Whether several of the kind may steer one Service: their rules add up.
    pub fn adds_up(self) -> bool {
        match self {
            Self::TrafficSplit => false,
            Self::HttpRoute | Self::GrpcRoute => true,
        }
    }

    /// How the kind calls its parts, and what it can hold.
    pub fn shape(self) -> Shape {
        match self {
            Self::TrafficSplit => Shape::default(),
            Self::HttpRoute | Self::GrpcRoute => route::SHAPE,
        }
    }

    /// Whether Linkerd routes by an object.
    pub fn in_use(self, object: &DynamicObject) -> InUse {
        match self {
            // Nobody says so of a split.
            Self::TrafficSplit => InUse::Yes,
            Self::HttpRoute | Self::GrpcRoute => route::in_use(object),
        }
    }

    /// Field path of a backend: the one at this place of the set at that position.
    pub fn backend_path(self, position: usize, backend: usize) -> String {
        match self {
            Self::TrafficSplit => format!("spec.backends[{backend}]"),
            Self::HttpRoute | Self::GrpcRoute => {
                format!("spec.rules[{position}].backendRefs[{backend}]")
            }
        }
    }

    /// The field path of all weights, for people.
    pub fn weights_path(self) -> &'static str {
        match self {
            Self::TrafficSplit => "spec.backends[*].weight",
            Self::HttpRoute | Self::GrpcRoute => "spec.rules[*].backendRefs[*].weight",
        }
    }

    /// The field paths of the managed fields that hold weights.
    pub fn weights_pointer(self) -> &'static str {
        match self {
            Self::TrafficSplit => "/f:spec/f:backends",
            Self::HttpRoute | Self::GrpcRoute => "/f:spec/f:rules",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
