//! Why a wanted move is not made: a person has decided so, or has to agree first.

use crate::engine::annotations::BRAKE_RELEASED;
use jiff::Timestamp;
use std::fmt;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Hold {
    /// The object is paused.
    Paused,
    /// The cluster is frozen.
    Frozen,
    /// The brake holds.
    Braked {
        since: Option<Timestamp>,
        /// The own namespace, where people release the brake.
        namespace: String,
    },
}

impl fmt::Display for Hold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Paused => f.write_str("this object is paused"),
            Self::Frozen => f.write_str("the cluster is frozen"),
            Self::Braked { since, namespace } => {
                let since = since.map(|at| at.to_string()).unwrap_or_default();
                write!(
                    f,
                    "the brake holds since {since}: too many objects would leave their primaries at once; if that is right, release it: kubectl annotate --overwrite namespace {namespace} {BRAKE_RELEASED}=$(date -u +%FT%TZ)"
                )
            }
        }
    }
}
