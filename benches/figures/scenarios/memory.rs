//! Memory beside 10,000 splits and 10,200 Services.

use crate::support::bench::PATIENCE;
use crate::support::figures::{Name, alone};
use crate::support::process::quiet;
use anyhow::Result;
use bench_table::Row;
use std::time::Duration;
use test_cluster::Replica;
use test_cluster::usage::{MemoryUsage, memory};

/// A start reads everything at once.
const STARTS: usize = 2;

/// After a start, by how often it is started.
pub(super) async fn after_start(replica: &Replica) -> Result<Vec<MemoryUsage>> {
    let mut readings = vec![];
    for _ in 0..STARTS {
        replica.restart().await?;
        replica.wait_ready(PATIENCE).await?;
        readings.push(now(replica).await?);
    }
    Ok(readings)
}

/// Once it has nothing to do.
pub(super) async fn now(replica: &Replica) -> Result<MemoryUsage> {
    let pid = replica.process().pid();
    quiet(&[pid], Duration::from_secs(1)).await?;
    memory(pid)
}

pub(super) fn row(id: &str, title: &str, readings: &[MemoryUsage], aim: f64) -> Result<Row> {
    let resident: Vec<Vec<f64>> = readings.iter().map(|memory| vec![memory.resident]).collect();
    let own = readings.iter().map(|memory| memory.anonymous).fold(0.0, f64::max);
    let name = Name { id, title, unit: "MiB", scale: 1.0 };
    Ok(alone(name, &resident)?.aim(aim).note(format!("{own:.1} MiB of it its own")))
}
