//! What the benchmarks share.
#![allow(dead_code, reason = "each benchmark uses a part")]

pub(crate) mod baseline;
pub(crate) mod load;
pub(crate) mod process;
pub(crate) mod report;
pub(crate) mod reviews;
pub(crate) mod seen;
pub(crate) mod splits;

use anyhow::Result;
use std::time::Duration;
use test_cluster::{Cluster, InstallOptions, Mirror, Workload};

/// The chart with the program as cargo has built it for this benchmark: optimised.
pub(crate) fn options() -> InstallOptions {
    InstallOptions {
        binary: env!("CARGO_BIN_EXE_linkerd-failover").into(),
        ..InstallOptions::default()
    }
}

/// `emoji-svc` with one pod, and its mirror from the cluster west.
pub(crate) async fn emojivoto(cluster: &Cluster) -> Result<(Workload<'_>, Mirror)> {
    let workload = Workload::new(cluster, "emojivoto").await?;
    workload.deploy_emoji(1).await?;
    let west = workload.mirror("emoji-svc", "west").await?;
    Ok((workload, west))
}

/// Lets watches and Events catch up between measurements.
pub(crate) async fn catch_up() {
    tokio::time::sleep(Duration::from_secs(5)).await;
}

/// Lets the Events of a fan-out be written, which follow the writes and are part of no figure.
pub(crate) async fn events_written(objects: usize) {
    tokio::time::sleep(Duration::from_millis(5 + 8 * objects.min(10_000) as u64)).await;
}

/// While a flip of another replica is younger than this, it is reversed only after a LIST.
pub(crate) async fn forget_other_replicas() {
    tokio::time::sleep(Duration::from_secs(62)).await;
}
