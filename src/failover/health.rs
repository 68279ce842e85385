//! The health of a backend, as far as it can be seen.

use super::to_the_second;
use jiff::Timestamp;
use std::fmt;

/// What is known of a backend Service. Never better than Linkerd's own verdict.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Health {
    /// Its endpoints are seen: those Linkerd would send to, of all there are, and the most that
    /// were ready in the last ten minutes.
    Seen {
        ready: u32,
        total: u32,
        peak: u32,
        /// Those of the ready ones that are about to be deleted.
        announced: Option<Announced>,
    },
    /// There is no such Service.
    Missing,
    /// An ExternalName Service has no endpoints, and Linkerd does not follow it.
    ExternalName,
    /// Its endpoints are in a cluster whose API has been out of reach for too long: down.
    Unreachable { cluster: String, since: Timestamp },
    /// The Service exists, its endpoints are where we cannot look. Not known is not down.
    Unknown(Unknown),
}

/// Endpoints whose pods are about to be deleted, by word of who deletes them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Announced {
    pub count: u32,
    /// When the first of them is no longer believed to go, by the steady clock.
    pub until: Timestamp,
}

impl Announced {
    /// These and others together.
    pub fn and(self, others: Option<Self>) -> Self {
        others.map_or(self, |others| Self {
            count: self.count.saturating_add(others.count),
            until: self.until.min(others.until),
        })
    }
}

/// Why a health cannot be seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unknown {
    /// Its endpoints are in a cluster that there are no credentials for.
    NotLinked { cluster: String },
    /// The credentials for that cluster cannot be used, or its API refuses them.
    Refused { cluster: String, why: String },
    /// Somebody answers for that cluster's API who cannot be verified to be it.
    Unverified { cluster: String, why: String },
    /// That cluster's API answers with errors.
    Failing { cluster: String, why: String },
    /// That cluster's API cannot be reached.
    Unreachable { cluster: String, since: Timestamp },
    /// That cluster has not told its endpoints yet.
    NotListed { cluster: String },
    /// It exists, but the caches have not seen it yet.
    NotYet,
    /// Its namespace is not one of those that we are limited to.
    NotWatched { namespace: String },
}

impl Health {
    /// Endpoints without a past.
    pub fn seen(ready: u32, total: u32) -> Self {
        Self::Seen { ready, total, peak: ready, announced: None }
    }

    /// Its endpoints that are about to be deleted.
    pub fn announced(&self) -> Option<Announced> {
        match self {
            Self::Seen { announced, .. } => *announced,
            _ => None,
        }
    }

    /// What the slices say of it, whatever is announced.
    pub fn as_seen(&self) -> Self {
        match *self {
            Self::Seen { ready, total, peak, .. } => {
                Self::Seen { ready, total, peak, announced: None }
            }
            _ => self.clone(),
        }
    }

    /// What it will be when those are gone.
    pub fn without_announced(&self) -> Self {
        match *self {
            Self::Seen { ready, total, peak, announced: Some(Announced { count, .. }) } => {
                let (ready, total) = (ready.saturating_sub(count), total.saturating_sub(count));
                Self::Seen { ready, total, peak, announced: None }
            }
            _ => self.clone(),
        }
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
            Self::Seen { ready, total, announced, .. } => {
                write!(f, "{ready} of {total} endpoints ready")?;
                match announced {
                    Some(Announced { count, .. }) => write!(f, ", {count} about to be deleted"),
                    None => Ok(()),
                }
            }
            Self::Missing => f.write_str("no such Service"),
            Self::ExternalName => f.write_str("an ExternalName Service"),
            Self::Unreachable { cluster, since } => out_of_reach(f, cluster, *since),
            Self::Unknown(Unknown::NotLinked { cluster }) => write!(
                f,
                "health unknown, no credentials for cluster {cluster}: link it, or name the namespace of its Secret in remoteClusters.credentialsNamespaces"
            ),
            Self::Unknown(Unknown::Refused { cluster, why }) => {
                write!(f, "health unknown, no access to cluster {cluster}: {why}")
            }
            Self::Unknown(Unknown::Unverified { cluster, why }) => {
                write!(f, "health unknown, cluster {cluster} cannot be verified: {why}")
            }
            Self::Unknown(Unknown::Failing { cluster, why }) => {
                write!(f, "health unknown, cluster {cluster} answers with errors: {why}")
            }
            Self::Unknown(Unknown::Unreachable { cluster, since }) => {
                f.write_str("health unknown, ")?;
                out_of_reach(f, cluster, *since)
            }
            Self::Unknown(Unknown::NotListed { cluster }) => {
                write!(f, "health unknown, cluster {cluster} has not been asked yet")
            }
            Self::Unknown(Unknown::NotYet) => f.write_str("health not seen yet"),
            Self::Unknown(Unknown::NotWatched { namespace }) => {
                write!(f, "health unknown, namespace {namespace} is not watched")
            }
        }
    }
}

fn out_of_reach(f: &mut fmt::Formatter<'_>, cluster: &str, since: Timestamp) -> fmt::Result {
    write!(f, "cluster {cluster} cannot be reached since {}", to_the_second(since))
}
