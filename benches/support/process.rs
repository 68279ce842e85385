//! What a replica uses, read from /proc.

use anyhow::{Context, Result};
use test_cluster::Replica;

/// Resident memory now, and at most.
pub(crate) fn memory(replica: &Replica) -> Result<String> {
    let status = std::fs::read_to_string(format!("/proc/{}/status", replica.process().pid()))?;
    let mib = |field: &str| -> Result<f64> {
        let line = status.lines().find(|line| line.starts_with(field)).context("no such field")?;
        let kib = line.split_whitespace().nth(1).context("no number")?;
        Ok(kib.parse::<f64>()? / 1024.0)
    };
    Ok(format!(
        "{:.1} MiB resident ({:.1} of its own), {:.1} MiB at most",
        mib("VmRSS:")?,
        mib("RssAnon:")?,
        mib("VmHWM:")?
    ))
}

/// Seconds of CPU since the start.
pub(crate) fn cpu(replica: &Replica) -> Result<f64> {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", replica.process().pid()))?;
    let (_, fields) = stat.rsplit_once(") ").context("no such field")?;
    let fields: Vec<&str> = fields.split_whitespace().collect();
    let ticks = fields[11].parse::<f64>()? + fields[12].parse::<f64>()?;
    // USER_HZ is 100 on every Linux that Rust runs on.
    Ok(ticks / 100.0)
}

/// The value of a series in the text format of `/metrics`; `name` without the program's prefix.
pub(crate) fn metric(metrics: &str, name: &str) -> f64 {
    let series = format!("linkerd_failover_{name} ");
    let line = metrics.lines().find(|line| line.starts_with(&series));
    line.and_then(|line| line.rsplit_once(' ')?.1.parse().ok()).unwrap_or(f64::NAN)
}
