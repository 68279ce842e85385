//! What tests share: a file for each concept.

pub(crate) mod admission_load;
pub(crate) mod alerts;
mod chart;
mod definitions;
pub(crate) mod deletion_guard;
mod events;
mod install;
mod leadership;
pub(crate) mod linked_clusters;
mod metrics;
mod monitoring;
pub(crate) mod notifications;
mod own_namespace;
mod policies;
mod pseudo_terminal;
mod routes;
mod tls;
mod traffic_splits;
mod webhooks;

pub(crate) use chart::*;
pub(crate) use definitions::*;
pub(crate) use events::*;
pub(crate) use install::*;
pub(crate) use leadership::*;
pub(crate) use metrics::*;
pub(crate) use monitoring::*;
pub(crate) use own_namespace::*;
pub(crate) use policies::*;
pub(crate) use pseudo_terminal::*;
pub(crate) use routes::*;
pub(crate) use tls::*;
pub(crate) use traffic_splits::*;
pub(crate) use webhooks::*;

use std::time::Duration;

/// Generous: a machine that builds beside the tests must not fail them.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// The most that something may take: this, and on a busy machine four times what the same took when
/// nothing hindered it.
pub(crate) fn at_most(limit: Duration, unhindered: Duration) -> Duration {
    limit.max(4 * unhindered)
}
