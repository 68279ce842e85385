//! One linked cluster, followed for as long as its credentials are there.

use crate::engine::Now;
use crate::index::endpoints::AddressFamilies;
use crate::index::remote::reach::{Reach, Transition};
use crate::index::shared_index::SharedIndex;
use crate::informers::remote::credentials::SecretName;
use crate::informers::remote::transitions::LinkTransition;
use crate::telemetry::WatchMetrics;
use jiff::SignedDuration;
use kube::Client;
use std::time::Duration;
use tokio::sync::{Notify, mpsc};

/// A cluster, as it is linked by one kubeconfig.
pub(crate) struct Link {
    pub cluster: String,
    pub secret: SecretName,
    pub client: Client,
    pub families: AddressFamilies,
    /// How long it may be out of reach before it counts as down.
    pub limit: SignedDuration,
    pub index: SharedIndex,
    pub watches: WatchMetrics,
    pub transitions: mpsc::UnboundedSender<LinkTransition>,
    /// Notifies that the reach changed: the next transition is due at another time.
    pub reach_changed: Notify,
}

impl Link {
    /// Watches what is requested of the cluster, until dropped.
    pub(crate) async fn follow(self) {
        tokio::join!(
            self.watch_slices(),
            self.follow_time(),
            self.watch_services(),
            self.follow_mirrors()
        );
    }

    pub(super) fn is_seen(&self) -> bool {
        self.index.read().remote.reach(&self.cluster).is_some_and(Reach::is_seen)
    }

    /// After how long the next transition is due by time alone.
    pub(super) fn time_left(&self) -> Option<Duration> {
        let now = self.index.now();
        let reach = self.index.read().remote.reach(&self.cluster).cloned();
        let left = reach.and_then(|reach| reach.next(now, self.limit));
        left.map(SignedDuration::unsigned_abs)
    }

    /// Makes the transitions that are due by time alone.
    async fn follow_time(&self) {
        loop {
            let left = self.time_left();
            let due = async {
                match left {
                    Some(wait) => tokio::time::sleep(wait).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = due => self.set_reach("no answer", |reach, now| reach.pass(now, self.limit)),
                () = self.reach_changed.notified() => {}
            }
        }
    }

    /// Changes the reach, and reports the transition.
    pub(super) fn set_reach(&self, why: &str, change: impl FnOnce(&mut Reach, Now)) {
        let mut transition = None;
        self.index.update(|index| {
            let (news, affected) = index.change_reach(&self.cluster, change);
            transition = news;
            affected
        });
        self.report(transition, why);
    }

    pub(super) fn report(&self, transition: Option<Transition>, why: &str) {
        self.reach_changed.notify_one();
        let Some(what) = transition else { return };
        let transition = LinkTransition::new(&self.cluster, &self.secret, what, why, self.limit);
        // The receiver is gone while the process stops.
        let _ = self.transitions.send(transition);
    }
}
