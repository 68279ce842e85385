//! What a snapshot does not know.

use crate::index::resource::{Required, WatchedResource};
use crate::informers::listing::{ListFailure, NotListed};
use crate::kinds::Kind;
use std::fmt;

/// Something that could not be read, and what is not known without it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Gap {
    /// What could not be read, and why.
    pub what: String,
    /// What is not known for that.
    pub unknown: &'static str,
    /// The failover objects that may be there and are not known.
    pub kind: Option<Kind>,
    /// Whether a right is missing.
    pub is_forbidden: bool,
}

impl Gap {
    pub(crate) fn new(what: impl Into<String>, unknown: &'static str) -> Self {
        Self { what: what.into(), unknown, kind: None, is_forbidden: false }
    }

    /// The right to read something is missing.
    pub(crate) fn forbidden(what: impl Into<String>, unknown: &'static str) -> Self {
        Self { is_forbidden: true, ..Self::new(what, unknown) }
    }
}

impl From<&NotListed> for Gap {
    fn from(failure: &NotListed) -> Self {
        let unknown = match failure.resource {
            WatchedResource::Services | WatchedResource::EndpointSlices => {
                "the health of backends is not known"
            }
            WatchedResource::OwnNamespace => "whether the cluster is frozen is not known",
            WatchedResource::Namespaces => "which protection namespaces ask for is not known",
            WatchedResource::ServiceProfiles => {
                "whether a ServiceProfile hides a route or carries a split is not known"
            }
            WatchedResource::ReferenceGrants => {
                "whether routes may name Services of other namespaces is not known"
            }
            WatchedResource::Credentials => {
                "the health of Services in linked clusters is not known"
            }
            WatchedResource::Objects(_) => "objects of this kind are not known",
        };
        let kind = match failure.resource {
            WatchedResource::Objects(kind) => Some(kind),
            _ => None,
        };
        let is_forbidden = matches!(failure.why, ListFailure::Forbidden(_));
        Self { kind, is_forbidden, ..Self::new(failure.to_string(), unknown) }
    }
}

/// Whether nothing can be said without it: the API server fails, and not a right is missing.
pub(super) fn is_fatal(failure: &NotListed) -> bool {
    let is_needed = failure.resource.required() != Required::Nothing;
    is_needed && matches!(failure.why, ListFailure::Failed(_))
}

impl fmt::Display for Gap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.what, self.unknown)
    }
}
