//! An announcement, its outcome, and the paths by which replicas send both.

use crate::kinds::pods::PodUid;
use serde::{Deserialize, Serialize};
use std::net::SocketAddr;
use std::time::{Duration, Instant};
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
    /// After any flip, within the bound: until Linkerd's proxies have what the API server has.
    pub propagation: Duration,
}

impl DelayBounds {
    /// When a deletion goes on whose outcome is known at `now`; `bound` is when it goes on in any case.
    pub(crate) fn goes_on_at(
        &self,
        outcome: AnnouncementOutcome,
        now: Instant,
        bound: Instant,
    ) -> Instant {
        (now + self.delay_after(outcome)).min(bound)
    }

    /// Whether Linkerd has followed an outcome that was reached so long ago.
    pub(crate) fn has_followed(&self, outcome: AnnouncementOutcome, ago: Duration) -> bool {
        ago >= self.delay_after(outcome)
    }

    /// How long Linkerd takes to follow an outcome.
    fn delay_after(&self, outcome: AnnouncementOutcome) -> Duration {
        match outcome {
            // linkerd-smi writes a profile, which has to reach the proxies as any other.
            AnnouncementOutcome::Flipped { by_adaptor: true } => {
                self.adaptor_grace.max(self.propagation)
            }
            AnnouncementOutcome::Flipped { by_adaptor: false } => self.propagation,
            AnnouncementOutcome::Unconcerned
            | AnnouncementOutcome::NoFlip
            | AnnouncementOutcome::NotBelieved
            | AnnouncementOutcome::NoDecision => Duration::ZERO,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(milliseconds: u64) -> Duration {
        Duration::from_millis(milliseconds)
    }

    /// How long a deletion is delayed further, `left` before its bound.
    fn delayed(delay: DelayBounds, outcome: AnnouncementOutcome, left: Duration) -> Duration {
        let now = Instant::now();
        delay.goes_on_at(outcome, now, now + left) - now
    }

    const DELAY: DelayBounds =
        DelayBounds { bound: ms(500), adaptor_grace: ms(100), propagation: ms(30) };
    const ROUTE: AnnouncementOutcome = AnnouncementOutcome::Flipped { by_adaptor: false };
    const SPLIT: AnnouncementOutcome = AnnouncementOutcome::Flipped { by_adaptor: true };

    #[test]
    fn a_deletion_waits_until_linkerd_can_have_followed_the_flip() {
        assert_eq!(delayed(DELAY, ROUTE, ms(400)), ms(30));
        assert_eq!(delayed(DELAY, SPLIT, ms(400)), ms(100));
        let at_once = DelayBounds { propagation: ms(0), ..DELAY };
        assert_eq!(delayed(at_once, ROUTE, ms(400)), ms(0));
    }

    #[test]
    fn what_linkerd_smi_carries_has_to_reach_the_proxies_too() {
        let quick = DelayBounds { adaptor_grace: ms(0), ..DELAY };
        assert_eq!(delayed(quick, SPLIT, ms(400)), ms(30));
    }

    #[test]
    fn linkerd_has_followed_a_flip_once_a_deletion_would_not_wait_for_it_any_more() {
        assert!(!DELAY.has_followed(ROUTE, ms(29)) && DELAY.has_followed(ROUTE, ms(30)));
        assert!(!DELAY.has_followed(SPLIT, ms(99)) && DELAY.has_followed(SPLIT, ms(100)));
        assert!(DELAY.has_followed(AnnouncementOutcome::NoFlip, ms(0)));
    }

    #[test]
    fn the_bound_ends_every_delay() {
        for outcome in [ROUTE, SPLIT] {
            assert_eq!(delayed(DELAY, outcome, ms(20)), ms(20));
            assert_eq!(delayed(DELAY, outcome, ms(0)), ms(0));
        }
        let long = DelayBounds { propagation: ms(800), bound: ms(10), ..DELAY };
        assert_eq!(delayed(long, ROUTE, ms(10)), ms(10));
    }

    #[test]
    fn a_deletion_before_which_nothing_moved_goes_on_at_once() {
        for outcome in [
            AnnouncementOutcome::Unconcerned,
            AnnouncementOutcome::NoFlip,
            AnnouncementOutcome::NotBelieved,
            AnnouncementOutcome::NoDecision,
        ] {
            assert_eq!(delayed(DELAY, outcome, ms(400)), ms(0), "{outcome:?}");
        }
    }
}
