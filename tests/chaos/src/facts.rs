//! What the half that makes faults tells the half that observes: plain data, over one channel, in the
//! order in which it happens. The journal has the same.

use serde::Serialize;
use std::fmt;
use std::time::{Duration, Instant};

/// Since the start of a run, on one monotonic clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct At(pub Duration);

/// The clock of a run, shared by both halves.
#[derive(Clone, Copy, Debug)]
pub struct Clock(Instant);

impl Clock {
    /// Begins now.
    pub fn start() -> Self {
        Self(Instant::now())
    }

    /// The present time of the run.
    pub fn now(&self) -> At {
        At(self.0.elapsed())
    }

    /// The moment of the machine's clock at which the run is so old.
    pub fn instant(&self, at: At) -> Instant {
        self.0 + at.0
    }
}

impl fmt::Display for At {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.3} s", self.0.as_secs_f64())
    }
}

/// A fault of one plan.
pub type FaultId = usize;

/// One of the two clusters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Side {
    /// Where the chart is installed.
    East,
    /// Which is linked to it.
    West,
}

impl fmt::Display for Side {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::East => "east",
            Self::West => "west",
        })
    }
}

/// A kind of failover object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum ObjectKind {
    /// `split.smi-spec.io/v1alpha2`.
    TrafficSplit,
    /// `gateway.networking.k8s.io/v1`.
    HttpRoute,
    /// `gateway.networking.k8s.io/v1`.
    GrpcRoute,
}

impl ObjectKind {
    /// Its group and the plural that is in URLs and in etcd's keys.
    pub fn resource(self) -> (&'static str, &'static str, &'static str) {
        match self {
            Self::TrafficSplit => ("split.smi-spec.io", "v1alpha2", "trafficsplits"),
            Self::HttpRoute => ("gateway.networking.k8s.io", "v1", "httproutes"),
            Self::GrpcRoute => ("gateway.networking.k8s.io", "v1", "grpcroutes"),
        }
    }

    /// As `kind` has it.
    pub fn name(self) -> &'static str {
        match self {
            Self::TrafficSplit => "TrafficSplit",
            Self::HttpRoute => "HTTPRoute",
            Self::GrpcRoute => "GRPCRoute",
        }
    }
}

/// Which failover object. All of them are in the east.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
pub struct ObjectId {
    /// Its kind.
    pub kind: ObjectKind,
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
}

impl fmt::Display for ObjectId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}/{}", self.kind.name(), self.namespace, self.name)
    }
}

/// What came of an apply.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// It was stored.
    Applied,
    /// The API server refused it.
    Refused {
        /// HTTP.
        status: u16,
        /// What it said.
        message: String,
    },
    /// Nothing came back in time, or the connection ended.
    Unanswered,
}

/// Something that happened.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fact {
    /// A fault is about to be made.
    FaultBegan {
        /// Its number in the plan.
        id: FaultId,
        /// Its family, as the table has it: `sigkill-replica`.
        family: &'static str,
        /// Whom it hits, for people.
        target: String,
        /// Before it was made.
        at: At,
    },
    /// It is over: whatever it broke was put right.
    FaultEnded {
        /// Its number in the plan.
        id: FaultId,
        /// After that.
        at: At,
    },
    /// A process of a replica was started.
    ReplicaStarted {
        /// Its pod's name.
        replica: String,
        /// Of its process.
        pid: u32,
        /// `http://…`, with `/metrics`, `/ready`.
        admin: String,
        /// Its log file.
        log: String,
        /// When.
        at: At,
    },
    /// A process of a replica ended.
    ReplicaExited {
        /// Its pod's name.
        replica: String,
        /// Of its process.
        pid: u32,
        /// As a shell has it.
        status: Option<i32>,
        /// Whether a fault ended it.
        caused: bool,
        /// When.
        at: At,
    },
    /// Whether a replica can do its work on a cluster: it runs, is not stopped, is ready, no fault of the
    /// plan stands between it and that API server, and the API server answered a read past its cache
    /// through the replica's own proxy. It is sent at each change, and is `false` before the first one.
    Reachability {
        /// Its pod's name.
        replica: String,
        /// Which API server.
        cluster: Side,
        /// Whether it was answered.
        answered: bool,
        /// When.
        at: At,
    },
    /// How much of the CPU that they asked for the replicas, the east's API server and its etcd got: the least
    /// share of these processes, from 0 to 1. It is 1 before the first one.
    Pace {
        /// Since the one before.
        share: f64,
        /// When.
        at: At,
    },
    /// An author has applied something.
    Declared {
        /// What.
        object: ObjectId,
        /// Whether the rules of admission let it.
        legal: bool,
        /// What is wrong is the name of a Service, which the webhook has to look up.
        needs_lookup: bool,
        /// What came of it.
        outcome: Outcome,
        /// From before the request until after its answer.
        while_a_replica_was_reachable: bool,
        /// Of the review, where one was asked directly.
        uid_echoed: Option<bool>,
        /// After the answer.
        at: At,
    },
    /// The deletion of a guarded pod was asked for.
    DeletionAsked {
        /// `namespace/name`.
        pod: String,
        /// Before the request.
        at: At,
    },
    /// It was answered.
    DeletionAnswered {
        /// `namespace/name`.
        pod: String,
        /// HTTP; 0 where nothing came back.
        status: u16,
        /// From the request to the answer, as far as the processes got the CPU that they asked for.
        took: Duration,
        /// After the answer.
        at: At,
    },
    /// A person, a GitOps loop or a rival has changed an object's weights or annotations on purpose: its
    /// weights, and what it declares, are not comparable with what the seed made until it is `Restored`.
    Meddled {
        /// What.
        object: ObjectId,
        /// Before the request.
        at: At,
    },
    /// It was declared again as the seed made it.
    Restored {
        /// What.
        object: ObjectId,
        /// After the answer.
        at: At,
    },
    /// The last fault is over, and no endpoint changes any more.
    WorldQuiet {
        /// When.
        at: At,
    },
    /// The labels of all objects are off.
    LabelsOff {
        /// After the last of the answers.
        at: At,
    },
}

impl Fact {
    /// When it happened.
    pub fn at(&self) -> At {
        match self {
            Self::FaultBegan { at, .. }
            | Self::FaultEnded { at, .. }
            | Self::ReplicaStarted { at, .. }
            | Self::ReplicaExited { at, .. }
            | Self::Reachability { at, .. }
            | Self::Pace { at, .. }
            | Self::Declared { at, .. }
            | Self::DeletionAsked { at, .. }
            | Self::DeletionAnswered { at, .. }
            | Self::Meddled { at, .. }
            | Self::Restored { at, .. }
            | Self::WorldQuiet { at }
            | Self::LabelsOff { at } => *at,
        }
    }
}

/// An invariant that does not hold.
#[derive(Clone, Debug, Serialize)]
pub struct Broken {
    /// Its number in the table, from 1.
    pub invariant: u8,
    /// What it says, in a few words.
    pub name: &'static str,
    /// Which object, or process.
    pub object: String,
    /// When it was seen.
    pub at: At,
    /// How it came about, line by line.
    pub account: Vec<String>,
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { invariant, name, object, at, account } = self;
        write!(f, "invariant {invariant} ({name}) is broken at {at}: {object}")?;
        account.iter().try_for_each(|line| write!(f, "\n    {line}"))
    }
}

/// The worst value seen of one bound.
#[derive(Clone, Debug, Serialize)]
pub struct Worst {
    /// The invariant's number.
    pub invariant: u8,
    /// What is bounded, as the table has it.
    pub name: &'static str,
    /// The bound, for people.
    pub bound: String,
    /// The worst, for people.
    pub worst: String,
    /// For the worst of several runs: the higher, the worse.
    pub value: f64,
    /// Whether it held; none where nothing was measured.
    pub held: Option<bool>,
}
