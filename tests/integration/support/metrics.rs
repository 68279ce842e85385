//! Metrics of replicas.

use super::*;
use anyhow::{Result, ensure};
use std::sync::Arc;
use test_cluster::{Installation, Replica, eventually};

/// A metric's value on a replica's `/metrics`.
pub(crate) fn metric(text: &str, name: &str) -> Option<f64> {
    let line = text.lines().find(|line| line.starts_with(name))?;
    line.rsplit_once(' ')?.1.parse().ok()
}

/// The sum of all samples of a metric, whatever their labels.
pub(crate) fn sum_of_metric(text: &str, name: &str) -> f64 {
    // That of none is -0.0.
    let samples = text.lines().filter(|line| line.starts_with(name));
    samples.filter_map(|line| line.rsplit_once(' ')?.1.parse::<f64>().ok()).sum::<f64>() + 0.0
}

/// Waits until a replica's metric has a value.
pub(crate) async fn wait_metric(replica: &Replica, name: &str, wanted: f64) -> Result<()> {
    eventually(&format!("{name} of {} is {wanted}", replica.name()), PATIENCE, || async {
        let value = metric(&replica.get("/metrics").await?, name);
        ensure!(value == Some(wanted), "{value:?}");
        Ok(())
    })
    .await
}

/// Waits until every replica's metric has a value.
pub(crate) async fn wait_metric_of_all(
    installation: &Installation,
    name: &str,
    wanted: f64,
) -> Result<()> {
    for replica in installation.replicas() {
        wait_metric(replica, name, wanted).await?;
    }
    Ok(())
}

/// The sum of a metric's samples over all replicas that run.
pub(crate) async fn total(installation: &Installation, name: &str) -> Result<f64> {
    total_of(installation.replicas(), name).await
}

/// The same, over some replicas.
pub(crate) async fn total_of(replicas: &[Arc<Replica>], name: &str) -> Result<f64> {
    let mut sum = 0.0;
    for replica in replicas.iter().filter(|replica| replica.process().is_running()) {
        sum += sum_of_metric(&replica.get("/metrics").await?, name);
    }
    Ok(sum)
}
