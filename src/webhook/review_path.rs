//! The paths under which reviews of failover objects and Services come in.

/// What a review asks for, by the path of its webhook.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum ReviewPath {
    Mutate,
    Validate,
    /// The deletion of a Service: only warns.
    ServiceDeletion,
}

impl ReviewPath {
    /// As metrics and logs call it.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Mutate => "mutate",
            Self::Validate => "validate",
            Self::ServiceDeletion => "service-deletion",
        }
    }
}
