//! Where announcements are taken in: by the controller here, or by that of who leads.

use crate::deletion_guard::{Announcement, Peers, Told, Verdict};
use crate::index::shared::Shared;
use crate::telemetry::Metrics;
use std::sync::Arc;
use tokio::sync::{mpsc, oneshot, watch};

/// Hands announcements to whoever judges them.
#[derive(Clone)]
pub struct Desk {
    pub shared: Shared,
    pub leading: watch::Receiver<bool>,
    pub controller: mpsc::Sender<Told>,
    /// The other replicas; none where there are no others.
    pub peers: Option<Arc<Peers>>,
    pub metrics: Arc<Metrics>,
}

impl Desk {
    /// Whether any traffic rests on the pod, as far as is seen here.
    pub fn concerns(&self, pod: &Announcement) -> bool {
        let now = self.shared.now();
        let index = self.shared.read();
        index.guarded(&pod.namespace, &pod.name, pod.uid(), now).is_some()
    }

    /// Has an announcement judged, here or by the replica that leads.
    pub async fn announce(&self, announcement: Announcement) -> Verdict {
        if *self.leading.borrow() {
            return self.judge_here(announcement).await;
        }
        let Some(peers) = &self.peers else { return Verdict::NoJudge };
        match peers.announce(&announcement).await {
            Ok(verdict) => {
                self.metrics.guard.forwarded.inc();
                verdict
            }
            Err(error) => {
                tracing::debug!(error = format!("{error:#}"), "an announcement was not forwarded");
                Verdict::NoJudge
            }
        }
    }

    /// Has it judged by this replica's controller.
    pub async fn judge_here(&self, announcement: Announcement) -> Verdict {
        let (reply, verdict) = oneshot::channel();
        // A controller that is so far behind would answer too late.
        if self.controller.try_send(Told { announcement, reply }).is_err() {
            return Verdict::NoJudge;
        }
        verdict.await.unwrap_or(Verdict::NoJudge)
    }
}
