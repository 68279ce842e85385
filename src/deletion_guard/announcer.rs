//! Where announcements are taken in: by the controller here, or by that of who leads.

use crate::deletion_guard::{Announcement, AnnouncementOutcome, Peers, PendingAnnouncement};
use crate::index::shared_index::SharedIndex;
use crate::telemetry::Metrics;
use std::sync::Arc;
use tokio::sync::{mpsc, oneshot, watch};

/// Hands announcements to whoever judges them.
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
    /// Whether any traffic rests on the pod, as far as is seen here.
    pub(crate) fn concerns(&self, pod: &Announcement) -> bool {
        let now = self.shared.now();
        let index = self.shared.read();
        index.guarded(&pod.namespace, &pod.name, pod.uid(), now).is_some()
    }

    /// Has an announcement judged, here or by the replica that leads.
    pub(crate) async fn announce(&self, announcement: Announcement) -> AnnouncementOutcome {
        if *self.leading.borrow() {
            return self.judge_here(announcement).await;
        }
        let Some(peers) = &self.peers else { return AnnouncementOutcome::NoJudge };
        match peers.announce(&announcement).await {
            Ok(verdict) => {
                self.metrics.guard.forwarded.inc();
                verdict
            }
            Err(error) => {
                tracing::debug!(error = format!("{error:#}"), "an announcement was not forwarded");
                AnnouncementOutcome::NoJudge
            }
        }
    }

    /// Has it judged by this replica's controller.
    pub(crate) async fn judge_here(&self, announcement: Announcement) -> AnnouncementOutcome {
        let (reply, verdict) = oneshot::channel();
        // A controller that is so far behind would answer too late.
        if self.controller.try_send(PendingAnnouncement { announcement, reply }).is_err() {
            return AnnouncementOutcome::NoJudge;
        }
        verdict.await.unwrap_or(AnnouncementOutcome::NoJudge)
    }
}
