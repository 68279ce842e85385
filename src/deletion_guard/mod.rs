//! Flip before the loss: the word that a pod is about to be deleted, on its way from the webhook
//! that hears it to the one replica that judges it.
//!
//! ```text
//!  API server ──► webhook ──► [`Announcer`] ──► controller   of the replica that leads
//!                               └──► [`Peers`] ──► its webhook's port, [`router`] ──► its Desk
//! ```
//!
//! The answer is when the deletion may go on. It is never refused: whatever fails on the way, the pod
//! goes, and the flip comes when its endpoints have gone.

mod announcer;
mod authenticator;
mod peers;
mod routes;

use crate::index::endpoints::PodUid;
use serde::{Deserialize, Serialize};
use std::time::Duration;
use tokio::sync::oneshot;

pub(crate) use announcer::Announcer;
pub(crate) use authenticator::Authenticator;
pub(crate) use peers::{LeaderAddress, Peers};
pub(crate) use routes::{ANNOUNCEMENT, PING, router};

/// The audience of the tokens by which replicas know each other.
pub(crate) const AUDIENCE: &str = "failover.linkerd.io";

/// A pod that is about to be deleted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Announcement {
    pub namespace: String,
    pub name: String,
    /// An Eviction says none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uid: Option<String>,
}

impl Announcement {
    /// The uid, where it is one.
    pub(crate) fn uid(&self) -> Option<PodUid> {
        self.uid.as_deref().and_then(PodUid::parse)
    }
}

/// What became of an announcement.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum AnnouncementOutcome {
    /// No traffic that may be moved before a loss rests on the pod.
    Unconcerned,
    /// The decision is the same without it, or traffic must not move.
    NoFlip,
    /// Traffic has moved, as far as the API server knows.
    Flipped {
        /// An adaptor has yet to carry the weights of a TrafficSplit to Linkerd.
        by_adaptor: bool,
    },
    /// The pod was believed to go lately, and stayed.
    NotBelieved,
    /// Nobody leads, who leads cannot be reached, or does not see enough.
    NoJudge,
}

/// An announcement on its way to the controller.
#[derive(Debug)]
pub(crate) struct PendingAnnouncement {
    pub announcement: Announcement,
    pub reply: oneshot::Sender<AnnouncementOutcome>,
}

/// How long a deletion may be held up.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Patience {
    /// From the first byte of the request to the answer.
    pub bound: Duration,
    /// After a flip that an adaptor has to carry, within the bound.
    pub adaptor_grace: Duration,
}
