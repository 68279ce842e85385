//! Hands announcements to the reconciler of the leader: here, or by a request to it.

use crate::deletion_guard::announcement::{Announcement, AnnouncementOutcome, PendingAnnouncement};
use crate::deletion_guard::peers::Peers;
use crate::index::shared_index::SharedIndex;
use crate::telemetry::Metrics;
use std::sync::Arc;
use tokio::sync::{mpsc, oneshot, watch};

/// Where a webhook hands in announcements.
#[derive(Clone)]
pub(crate) struct Announcer {
    pub shared: SharedIndex,
    pub leading: watch::Receiver<bool>,
    pub controller: mpsc::Sender<PendingAnnouncement>,
    /// The other replicas; none where there are no others.
    pub peers: Option<Arc<Peers>>,
    pub metrics: Arc<Metrics>,
}

impl Announcer {
    /// Whether any traffic depends on the pod, by the index of this replica.
    pub(crate) fn concerns(&self, pod: &Announcement) -> bool {
        let now = self.shared.now();
        let index = self.shared.read();
        index.guarded(&pod.namespace, &pod.name, pod.uid(), now).is_some()
    }

    /// What the leader decides on an announcement.
    pub(crate) async fn announce(&self, announcement: Announcement) -> AnnouncementOutcome {
        if *self.leading.borrow() {
            return self.announce_here(announcement).await;
        }
        let Some(peers) = &self.peers else { return AnnouncementOutcome::NoDecision };
        match peers.announce(&announcement).await {
            Ok(outcome) => {
                self.metrics.guard.forwarded.inc();
                outcome
            }
            Err(error) => {
                tracing::debug!(error = format!("{error:#}"), "an announcement was not forwarded");
                AnnouncementOutcome::NoDecision
            }
        }
    }

    /// What this replica's reconciler decides on it.
    pub(crate) async fn announce_here(&self, announcement: Announcement) -> AnnouncementOutcome {
        let (reply, outcome) = oneshot::channel();
        // A reconciler that is so far behind would answer too late.
        if self.controller.try_send(PendingAnnouncement { announcement, reply }).is_err() {
            return AnnouncementOutcome::NoDecision;
        }
        outcome.await.unwrap_or(AnnouncementOutcome::NoDecision)
    }
}
