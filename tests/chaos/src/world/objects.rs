//! The failover objects and the Services of a run, as data: a pure function of the seed. The world
//! makes them, and the observer's model reads them.

use crate::facts::{ObjectId, ObjectKind, Side};
use std::time::Duration;

/// All that a run begins with.
#[derive(Clone, Debug)]
pub struct Declarations {
    /// What traffic is sent to.
    pub services: Vec<ServiceSpec>,
    /// What fails over.
    pub objects: Vec<Declared>,
}

/// Where the endpoints of a Service come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// One slice of the Service's name, written by hand.
    Slice,
    /// A Deployment on kwok's node, its pods under the deletion guard.
    GuardedPods,
    /// The Service of this name and namespace in the west, read there (remote discovery).
    Remote {
        /// Its name there.
        service: String,
    },
}

/// A Service, and how many endpoints it has while nothing is lost.
#[derive(Clone, Debug)]
pub struct ServiceSpec {
    /// In which cluster.
    pub side: Side,
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Where its endpoints come from.
    pub source: Source,
    /// How many there are at the start.
    pub endpoints: usize,
}

/// A backend as its author wrote it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Backend {
    /// A Service of the object's namespace.
    pub service: String,
    /// The author's weight.
    pub weight: u32,
}

/// A failover object as its author wrote it.
#[derive(Clone, Debug)]
pub struct Declared {
    /// Which.
    pub id: ObjectId,
    /// The Service that clients call.
    pub apex: String,
    /// The backends of a split; those of each rule of a route.
    pub sets: Vec<Vec<Backend>>,
    /// `primary-service`; empty where the first backend is the primary.
    pub primaries: Vec<String>,
    /// `fallback-order`; empty where all fallbacks are one tier.
    pub fallback_order: Vec<String>,
    /// `min-ready`, as a number.
    pub min_ready: Option<usize>,
    /// `failover-delay`.
    pub failover_delay: Duration,
    /// `failback-delay`.
    pub failback_delay: Duration,
    /// `failback: manual`.
    pub manual_failback: bool,
    /// `warm-standby: "true"`.
    pub warm_standby: bool,
    /// `protection: seamless`, which is warm standby too.
    pub seamless: bool,
    /// `pin`.
    pub pin: Option<String>,
    /// `paused: "true"`.
    pub paused: bool,
}
