//! What an adapter of a kind consists of.

use crate::engine::{Declaration, Shape};
use crate::kinds::retries::Retry;
use kube::core::{ApiResource, DynamicObject, GroupVersionKind};

/// All that the program knows of a kind.
#[derive(Debug)]
pub(crate) struct Adapter {
    pub group: &'static str,
    pub kind: &'static str,
    /// As the API and kubectl call them.
    pub plural: &'static str,
    /// The versions that the adapter reads, the best first: what a cluster serves of them is found
    /// out there.
    pub versions: &'static [&'static str],
    /// The kind's field names, and its limits.
    pub shape: Shape,
    /// The field path of all weights, for people.
    pub weights_path: &'static str,
    /// The managed fields that hold weights.
    pub weights_pointer: &'static str,
    /// Several of the kind may steer one Service: their rules add up.
    pub adds_up: bool,
    /// Linkerd does not read the kind: an adaptor carries its weights into ServiceProfiles.
    pub needs_service_profile: bool,
    /// The annotations by which Linkerd retries its requests; none: Linkerd does not.
    pub retries: &'static [Retry],
    /// Reads the declaration; what cannot be read is in its `unreadable`.
    pub read: fn(&DynamicObject) -> Declaration,
    /// Whether Linkerd routes by an object.
    pub in_use: fn(&DynamicObject) -> InUse,
}

impl Adapter {
    /// Where the API serves the kind in this version.
    pub(crate) fn api_resource(&self, version: &str) -> ApiResource {
        let gvk = GroupVersionKind::gvk(self.group, version, self.kind);
        ApiResource::from_gvk_with_plural(&gvk, self.plural)
    }
}

/// Whether Linkerd routes by an object, as its status reports.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) enum InUse {
    #[default]
    Yes,
    /// Not, or not for every backend; why, for people.
    No(Box<str>),
    /// Linkerd has written no status.
    NotSaid,
}
