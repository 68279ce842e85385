//! Metrics of linked clusters.

use crate::telemetry::macros::{label_values, metrics};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;

label_values! {
    /// What is known of a linked cluster.
    pub(crate) enum RemoteState {
        Reachable = "reachable",
        Unreachable = "unreachable",
        Down = "down",
        /// It answers, and its certificate does not verify.
        Unverified = "unverified",
        /// It answers with errors.
        Failing = "failing",
        Refused = "refused",
        Idle = "idle",
    }
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct ClusterLabel {
    cluster: String,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct TransitionLabel {
    cluster: String,
    to: RemoteState,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct StateLabel {
    cluster: String,
    state: RemoteState,
}

metrics! {
    /// By cluster; one that is gone has no series.
    pub(crate) struct RemoteMetrics {
        reachable: Family<ClusterLabel, Gauge> =
            "remote_reachable",
            "1 while the endpoints of a linked cluster that objects rest on are seen from here";
        state: Family<StateLabel, Gauge> =
            "remote_state",
            "1 for what is known of a linked cluster: reachable, unreachable, down, unverified (it answers, its certificate does not verify), failing (it answers with errors), refused, idle";
        transitions: Family<TransitionLabel, Counter> =
            "remote_transitions",
            "Changes of what is known of a linked cluster, by what it became";
    }
}

impl RemoteMetrics {
    /// `reachable`: whether its endpoints are watched; none where nothing depends on them.
    pub(crate) fn became(&self, cluster: &str, to: RemoteState, reachable: Option<bool>) {
        let of = ClusterLabel { cluster: cluster.to_owned() };
        match reachable {
            Some(reachable) => {
                self.reachable.get_or_create(&of).set(i64::from(reachable));
            }
            None => {
                self.reachable.remove(&of);
            }
        }
        for state in RemoteState::ALL.iter().copied() {
            let is = StateLabel { cluster: of.cluster.clone(), state };
            match state == to {
                true => {
                    self.state.get_or_create(&is).set(1);
                }
                false => {
                    self.state.remove(&is);
                }
            }
        }
        self.transitions.get_or_create(&TransitionLabel { cluster: of.cluster, to }).inc();
    }

    /// A cluster is not linked any more.
    pub(crate) fn forget(&self, cluster: &str) {
        let cluster = cluster.to_owned();
        self.reachable.remove(&ClusterLabel { cluster: cluster.clone() });
        for to in RemoteState::ALL.iter().copied() {
            self.state.remove(&StateLabel { cluster: cluster.clone(), state: to });
            self.transitions.remove(&TransitionLabel { cluster: cluster.clone(), to });
        }
    }
}
