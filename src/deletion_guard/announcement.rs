//! An announcement, its outcome, and the paths by which replicas send both.

use crate::kinds::pods::PodUid;
use serde::{Deserialize, Serialize};
use std::net::SocketAddr;
use std::time::Duration;
use tokio::sync::oneshot;

/// Where a replica takes announcements of others.
pub(super) const ANNOUNCEMENT_PATH: &str = "/announcement";
/// Where a replica answers whether it takes announcements of the caller.
pub(super) const PING_PATH: &str = "/ping";

/// Where the leader takes announcements; none while that is not known.
pub(crate) type LeaderAddress = Option<SocketAddr>;

/// The audience of the tokens by which replicas authenticate each other.
pub(crate) const AUDIENCE: &str = "failover.linkerd.io";

/// A pod that is about to be deleted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Announcement {
    pub namespace: String,
    pub name: String,
    /// Absent in an Eviction.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uid: Option<String>,
}

impl Announcement {
    /// The uid, where it can be read.
    pub(crate) fn uid(&self) -> Option<PodUid> {
        self.uid.as_deref().and_then(PodUid::parse)
    }
}

/// What became of an announcement.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum AnnouncementOutcome {
    /// No traffic that may move early depends on the pod.
    Unconcerned,
    /// The decision is the same without the pod, or traffic must not move.
    NoFlip,
    /// Traffic has moved, as far as the API server knows.
    Flipped {
        /// linkerd-smi still has to carry the weights of a TrafficSplit to Linkerd.
        by_adaptor: bool,
    },
    /// The pod was announced before, and was not deleted.
    NotBelieved,
    /// No replica leads, the leader cannot be reached, or its index is not complete.
    #[serde(rename = "no_judge")]
    NoDecision,
}

/// An announcement on its way to the reconciler.
#[derive(Debug)]
pub(crate) struct PendingAnnouncement {
    pub announcement: Announcement,
    pub reply: oneshot::Sender<AnnouncementOutcome>,
}

/// How long a deletion may be delayed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct DelayBounds {
    /// From the first byte of the request to the answer.
    pub bound: Duration,
    /// After a flip that linkerd-smi has to carry, within the bound.
    pub adaptor_grace: Duration,
}
