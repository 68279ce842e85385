//! Metrics of linked clusters.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Of {
    cluster: String,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Became {
    cluster: String,
    to: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Is {
    cluster: String,
    state: &'static str,
}

/// What a linked cluster can become.
const STATES: [&str; 7] =
    ["reachable", "unreachable", "down", "unverified", "failing", "refused", "idle"];

/// By cluster; one that is gone has no series.
#[derive(Debug, Default)]
pub(crate) struct RemoteMetrics {
    reachable: Family<Of, Gauge>,
    state: Family<Is, Gauge>,
    transitions: Family<Became, Counter>,
}

impl RemoteMetrics {
    pub(crate) fn register(&self, registry: &mut Registry) {
        registry.register(
            "remote_reachable",
            "1 while the endpoints of a linked cluster that objects rest on are seen from here",
            self.reachable.clone(),
        );
        registry.register(
            "remote_state",
            "1 for what is known of a linked cluster: reachable, unreachable, down, unverified (it answers, its certificate does not verify), failing (it answers with errors), refused, idle",
            self.state.clone(),
        );
        registry.register(
            "remote_transitions",
            "Changes of what is known of a linked cluster, by what it became",
            self.transitions.clone(),
        );
    }

    /// A cluster became one of `STATES`; `reachable` where anything is asked of it.
    pub(crate) fn became(&self, cluster: &str, to: &'static str, reachable: Option<bool>) {
        let of = Of { cluster: cluster.to_owned() };
        match reachable {
            Some(reachable) => {
                self.reachable.get_or_create(&of).set(i64::from(reachable));
            }
            None => {
                self.reachable.remove(&of);
            }
        }
        for state in STATES {
            let is = Is { cluster: of.cluster.clone(), state };
            match state == to {
                true => {
                    self.state.get_or_create(&is).set(1);
                }
                false => {
                    self.state.remove(&is);
                }
            }
        }
        self.transitions.get_or_create(&Became { cluster: of.cluster, to }).inc();
    }

    /// A cluster is not linked any more.
    pub(crate) fn forget(&self, cluster: &str) {
        let cluster = cluster.to_owned();
        self.reachable.remove(&Of { cluster: cluster.clone() });
        for to in STATES {
            self.state.remove(&Is { cluster: cluster.clone(), state: to });
            self.transitions.remove(&Became { cluster: cluster.clone(), to });
        }
    }
}
