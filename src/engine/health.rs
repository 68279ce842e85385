//! The health of a backend, as far as it can be seen.

use crate::engine::ports::{PortCount, Ports};
use crate::engine::{Fault, SteadyTime, to_the_second};
use jiff::Timestamp;
use std::collections::BTreeSet;
use std::fmt;

/// What is known of a backend Service. Never better than Linkerd's own verdict.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Health {
    /// Its endpoints are known: those that Linkerd would send to, of all that offer the asked port, and
    /// the most that were ready in the last ten minutes. Of several ports, the counts of the one with
    /// the fewest.
    Seen {
        /// The ready endpoints.
        ready: u32,
        /// All endpoints.
        total: u32,
        /// The most that were ready in the last ten minutes.
        peak: u32,
        /// The announced ones among the ready ones.
        announced: Option<Announced>,
        /// Port by port, where several are asked for or an endpoint does not offer the one that is.
        ports: Option<Box<Ports>>,
    },
    /// There is no such Service.
    Missing,
    /// It cannot be a Service that Linkerd sends to; why, for people.
    Impossible {
        /// As a part of a sentence.
        why: Box<str>,
    },
    /// An ExternalName Service has no endpoints, and Linkerd does not follow it.
    ExternalName,
    /// Its endpoints are in a cluster whose API has been out of reach for too long: down.
    Unreachable {
        /// Its name.
        cluster: String,
        /// When it was reached last.
        since: Timestamp,
    },
    /// The Service exists, and its endpoints cannot be observed. Not known is not down.
    Unknown(Unknown),
    /// Whatever its endpoints are, somebody who knows better declares that it is down.
    DeclaredDown(Box<DownUntil>),
}

/// A declaration that a Service is down, while it holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DownUntil {
    /// When it ends by itself.
    pub until: Timestamp,
    /// Who declares it and why, for people; empty where nobody does any more.
    pub why: Box<str>,
    /// What makes it count until then.
    pub basis: DownBasis,
    /// A person declares it, and not alerts alone.
    pub by_person: bool,
    /// What is known of the Service beside that.
    pub seen: Health,
}

/// What makes a Service count as declared down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DownBasis {
    /// Its annotations, or those of its cluster's Secret.
    Declared,
    /// It was declared down again soon after its return: it stays away for longer than is declared.
    Prolonged,
    /// The record of the leader, for a replica that does not lead.
    Recorded,
}

/// Why a Service stays away for longer than is declared.
pub(crate) const DOWN_AGAIN: &str = "declared down again within 10 minutes of its return";

/// Endpoints of announced pods.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Announced {
    /// How many.
    pub count: u32,
    /// When the first of the announcements is no longer believed.
    pub until: SteadyTime,
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
    NotLinked {
        /// Its name.
        cluster: String,
    },
    /// The credentials for that cluster cannot be used, or its API refuses them.
    Refused {
        /// Its name.
        cluster: String,
        /// As a part of a sentence.
        why: String,
    },
    /// The server that answers for that cluster's API cannot be verified.
    Unverified {
        /// Its name.
        cluster: String,
        /// As a part of a sentence.
        why: String,
    },
    /// That cluster's API answers with errors.
    Failing {
        /// Its name.
        cluster: String,
        /// As a part of a sentence.
        why: String,
    },
    /// That cluster's API cannot be reached.
    Unreachable {
        /// Its name.
        cluster: String,
        /// When it was reached last.
        since: Timestamp,
    },
    /// That cluster's endpoints have not been listed yet.
    NotListed {
        /// Its name.
        cluster: String,
    },
    /// It exists, but the caches have not seen it yet.
    NotYet,
    /// The Service has just changed, and its slices follow a moment later: until then at most.
    Changed {
        /// The latest time.
        until: SteadyTime,
    },
    /// The Service has none of the ports that callers ask for. Linkerd takes the number as its pods'
    /// own: whether those listen there is not to be seen.
    NoSuchPort {
        /// The port that is asked for.
        port: String,
    },
    /// Its namespace is not among those that this program watches.
    NotWatched {
        /// Its namespace.
        namespace: String,
    },
    /// The object leaves open which Service it means; why, for people.
    Unclear {
        /// As a part of a sentence.
        why: Box<str>,
    },
}

impl From<&Fault> for Health {
    fn from(fault: &Fault) -> Self {
        match fault {
            Fault::NoService(why) => Self::Impossible { why: why.clone() },
            Fault::Unclear(why) => Self::Unknown(Unknown::Unclear { why: why.clone() }),
        }
    }
}

impl Unknown {
    /// The Service has none of these ports.
    pub fn no_such_port(numbers: &BTreeSet<i32>) -> Self {
        let numbers: Vec<String> = numbers.iter().map(i32::to_string).collect();
        Self::NoSuchPort { port: numbers.join(" or ") }
    }
}

impl Health {
    /// Endpoints without a history.
    pub fn seen(ready: u32, total: u32) -> Self {
        Self::Seen { ready, total, peak: ready, announced: None, ports: None }
    }

    /// Endpoints that are counted port by port.
    pub fn of_ports(ports: Ports, announced: Option<Announced>) -> Self {
        let (ready, total, peak) = ports.least();
        Self::Seen { ready, total, peak, announced, ports: Some(Box::new(ports)) }
    }

    /// What is seen of its ports, one by one.
    pub fn ports(&self) -> Option<&Ports> {
        match self {
            Self::Seen { ports, .. } => ports.as_deref(),
            _ => None,
        }
    }

    /// The counts that matter, port by port; none where it is not observed, or nothing has been served.
    pub fn counts(&self) -> Vec<PortCount<'_>> {
        match self {
            Self::Seen { ports: Some(ports), .. } => ports.counts(),
            Self::Seen { ready, total, peak, ports: None, .. } => {
                vec![PortCount { ready: *ready, total: *total, peak: *peak, port: None }]
            }
            _ => vec![],
        }
    }

    /// The declaration that it is down.
    pub fn declared(&self) -> Option<&DownUntil> {
        match self {
            Self::DeclaredDown(down) => Some(down),
            _ => None,
        }
    }

    /// What is known of it beside any declaration.
    pub fn undeclared(&self) -> &Self {
        self.declared().map_or(self, |down| &down.seen)
    }

    /// The same declaration, beside what `change` makes of the rest.
    fn beside(down: &DownUntil, change: impl FnOnce(&Self) -> Self) -> Self {
        Self::DeclaredDown(Box::new(DownUntil { seen: change(&down.seen), ..down.clone() }))
    }

    /// Adds the recorded losses of ports.
    pub fn remember(&mut self, short: &[Vec<String>]) {
        if let Self::DeclaredDown(down) = self {
            down.seen.remember(short);
        }
        if let Self::Seen { ports: Some(ports), announced, .. } = self {
            ports.remember(short);
            *self = Self::of_ports(std::mem::replace(ports, Ports::none()), *announced);
        }
    }

    /// Its announced endpoints.
    pub fn announced(&self) -> Option<Announced> {
        match self {
            Self::Seen { announced, .. } => *announced,
            _ => None,
        }
    }

    /// The same without announcements.
    pub fn as_seen(&self) -> Self {
        match *self {
            Self::Seen { ports: Some(ref ports), .. } => Self::of_ports(ports.unannounced(), None),
            Self::Seen { ready, total, peak, ports: None, .. } => {
                Self::Seen { ready, total, peak, announced: None, ports: None }
            }
            Self::DeclaredDown(ref down) => Self::beside(down, Self::as_seen),
            _ => self.clone(),
        }
    }

    /// The health once the announced endpoints are gone.
    pub fn without_announced(&self) -> Self {
        match *self {
            Self::Seen { announced: Some(_), ports: Some(ref ports), .. } => {
                Self::of_ports(ports.without_announced(), None)
            }
            Self::Seen { ready, total, peak, announced: Some(Announced { count, .. }), .. } => {
                let (ready, total) = (ready.saturating_sub(count), total.saturating_sub(count));
                Self::Seen { ready, total, peak, announced: None, ports: None }
            }
            Self::DeclaredDown(ref down) => Self::beside(down, Self::without_announced),
            _ => self.clone(),
        }
    }

    /// Known to have an endpoint that takes traffic, on every port that counts.
    pub fn is_ready(&self) -> bool {
        matches!(self, Self::Seen { ready, .. } if *ready > 0)
    }

    /// Known to have an endpoint that takes traffic on any port.
    pub fn is_partly_ready(&self) -> bool {
        self.is_ready() || self.ports().is_some_and(|ports| ports.serves().next().is_some())
    }

    /// Neither known ready nor known down.
    pub fn is_unknown(&self) -> bool {
        matches!(self, Self::Unknown(_))
    }

    /// Whether there is a Service that could get endpoints.
    pub fn exists(&self) -> bool {
        !matches!(self.undeclared(), Self::Missing | Self::Impossible { .. })
    }
}

impl fmt::Display for Health {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Seen { ports: Some(ports), ready: 0, .. } => write!(f, "{ports}"),
            Self::Seen { total: 0, .. } => f.write_str("no endpoints"),
            Self::Seen { ready, total, announced, ports, .. } => {
                write!(f, "{ready} of {total} endpoints ready")?;
                if let Some(Announced { count, .. }) = announced {
                    write!(f, ", {count} about to be deleted")?;
                }
                match ports.as_deref().map(Ports::never_served).unwrap_or_default().as_slice() {
                    [] => Ok(()),
                    never => write!(f, ", none offers port {}", never.join(" or ")),
                }
            }
            Self::Missing => f.write_str("no such Service"),
            Self::Impossible { why } => f.write_str(why),
            Self::ExternalName => f.write_str("an ExternalName Service"),
            Self::Unreachable { cluster, since } => out_of_reach(f, cluster, *since),
            Self::Unknown(Unknown::NotYet) => f.write_str("health not seen yet"),
            Self::Unknown(why) => write!(f, "health unknown, {why}"),
            Self::DeclaredDown(down) => write!(f, "{down}"),
        }
    }
}

impl fmt::Display for DownUntil {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { until, why, basis, seen, .. } = self;
        let until = to_the_second(*until);
        match basis {
            DownBasis::Declared => write!(f, "declared down until {until} ({why})")?,
            DownBasis::Prolonged => {
                write!(f, "stays away until {until} because it was {DOWN_AGAIN}")?;
                if !why.is_empty() {
                    write!(f, " ({why})")?;
                }
            }
            DownBasis::Recorded => f.write_str("declared down, as the leader has recorded")?,
        }
        write!(f, ", {seen}")
    }
}

impl fmt::Display for Unknown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotLinked { cluster } => write!(
                f,
                "no credentials for cluster {cluster}: link it, or name the namespace of its Secret in remoteClusters.credentialsNamespaces"
            ),
            Self::Refused { cluster, why } => write!(f, "no access to cluster {cluster}: {why}"),
            Self::Unverified { cluster, why } => {
                write!(f, "cluster {cluster} cannot be verified: {why}")
            }
            Self::Failing { cluster, why } => {
                write!(f, "cluster {cluster} answers with errors: {why}")
            }
            Self::Unreachable { cluster, since } => out_of_reach(f, cluster, *since),
            Self::NotListed { cluster } => write!(f, "cluster {cluster} has not been asked yet"),
            Self::NotYet => f.write_str("not seen yet"),
            Self::Changed { .. } => {
                f.write_str("the Service has just changed and its endpoints have not followed yet")
            }
            Self::NoSuchPort { port } => write!(
                f,
                "the Service has no port {port}: Linkerd takes the number as its pods' own port"
            ),
            Self::NotWatched { namespace } => write!(f, "namespace {namespace} is not watched"),
            Self::Unclear { why } => f.write_str(why),
        }
    }
}

fn out_of_reach(f: &mut fmt::Formatter<'_>, cluster: &str, since: Timestamp) -> fmt::Result {
    write!(f, "cluster {cluster} cannot be reached since {}", to_the_second(since))
}

#[cfg(test)]
#[path = "health_tests.rs"]
mod tests;
