//! The health of a backend, as far as it can be seen.

use std::fmt;

/// What is known of a backend Service. Never better than Linkerd's own verdict.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Health {
    /// Its endpoints are seen: those Linkerd would send to, of all there are, and the most that
    /// were ready in the last ten minutes.
    Seen { ready: u32, total: u32, peak: u32 },
    /// There is no such Service.
    Missing,
    /// An ExternalName Service has no endpoints, and Linkerd does not follow it.
    ExternalName,
    /// The Service exists, its endpoints are where we cannot look. Not known is not down.
    Unknown(Unknown),
}

/// Why a health cannot be seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unknown {
    /// A pod-to-pod mirror: its endpoints are in the remote cluster.
    RemoteDiscovery { cluster: String },
    /// A federated Service: its members' endpoints are elsewhere.
    Federated,
    /// It exists, but the caches have not seen it yet.
    NotYet,
    /// Its namespace is not one of those that we are limited to.
    NotWatched { namespace: String },
}

impl Health {
    /// Endpoints without a past.
    pub fn seen(ready: u32, total: u32) -> Self {
        Self::Seen { ready, total, peak: ready }
    }

    /// Known to have an endpoint that takes traffic.
    pub fn is_ready(&self) -> bool {
        matches!(self, Self::Seen { ready, .. } if *ready > 0)
    }

    /// Neither known ready nor known down.
    pub fn is_unknown(&self) -> bool {
        matches!(self, Self::Unknown(_))
    }

    /// Whether there is a Service that could get endpoints.
    pub fn exists(&self) -> bool {
        !matches!(self, Self::Missing)
    }
}

impl fmt::Display for Health {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Seen { total: 0, .. } => f.write_str("no endpoints"),
            Self::Seen { ready, total, .. } => write!(f, "{ready} of {total} endpoints ready"),
            Self::Missing => f.write_str("no such Service"),
            Self::ExternalName => f.write_str("an ExternalName Service"),
            Self::Unknown(Unknown::RemoteDiscovery { cluster }) => {
                write!(f, "health unknown, its endpoints are in cluster {cluster}")
            }
            Self::Unknown(Unknown::Federated) => f.write_str("health unknown, a federated Service"),
            Self::Unknown(Unknown::NotYet) => f.write_str("health not seen yet"),
            Self::Unknown(Unknown::NotWatched { namespace }) => {
                write!(f, "health unknown, namespace {namespace} is not watched")
            }
        }
    }
}
