//! Sends announcements to the reconciler of the leader: in this process, or by a request.

use crate::deletion_guard::announcement::{Announcement, AnnouncementOutcome, PendingAnnouncement};
use crate::deletion_guard::peers::Peers;
use crate::index::shared_index::SharedIndex;
use crate::telemetry::Metrics;
use std::sync::Arc;
use tokio::sync::{mpsc, oneshot, watch};

/// Announces pods for a webhook.
#[derive(Clone)]
pub(crate) struct Announcer {
    pub shared: SharedIndex,
    pub leading: watch::Receiver<bool>,
    pub reconciler: mpsc::Sender<PendingAnnouncement>,
    /// The other replicas; none where there are no others.
    pub peers: Option<Arc<Peers>>,
    pub metrics: Arc<Metrics>,
}

impl Announcer {
    /// Whether any traffic depends on the pod, by the index of this replica.
    pub(crate) fn concerns(&self, pod: &Announcement) -> bool {
        self.follow_pods();
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
        self.follow_pods();
        let (reply, outcome) = oneshot::channel();
        // A reconciler whose queue is full would answer too late.
        if self.reconciler.try_send(PendingAnnouncement { announcement, reply }).is_err() {
            return AnnouncementOutcome::NoDecision;
        }
        outcome.await.unwrap_or(AnnouncementOutcome::NoDecision)
    }

    /// Has the index keep its pods by name, from the first announcement on: a cluster in which nothing is
    /// guarded pays no memory for them.
    fn follow_pods(&self) {
        if !self.shared.read().follows_pods() {
            self.shared.update(|index| {
                index.follow_pods();
                vec![]
            });
        }
    }
}
