//! What a process uses.

use anyhow::{Result, ensure};
use std::time::{Duration, Instant};
use test_cluster::usage;

/// The CPU time of its threads.
pub(crate) fn cpu(pid: u32) -> Result<Duration> {
    usage::cpu_time(pid)
}

const POLL: Duration = Duration::from_millis(25);
/// Less than one request takes.
const IDLE: Duration = Duration::from_millis(1);
const PATIENCE: Duration = Duration::from_secs(180);

/// Waits until processes have done next to nothing for so long: Events and what else follows a flip are
/// part of no figure.
pub(crate) async fn quiet(pids: &[u32], calm: Duration) -> Result<()> {
    let used = || pids.iter().map(|pid| cpu(*pid)).sum::<Result<Duration>>();
    let end = Instant::now() + PATIENCE;
    let (mut before, mut since) = (used()?, Instant::now());
    while since.elapsed() < calm {
        ensure!(Instant::now() < end, "the replicas are busy still, {PATIENCE:?} after a flip");
        tokio::time::sleep(POLL).await;
        let now = used()?;
        if now.saturating_sub(before) > IDLE {
            since = Instant::now();
        }
        before = now;
    }
    Ok(())
}

/// The value of a series in the text format of `/metrics`; `name` without the program's prefix.
pub(crate) fn metric(metrics: &str, name: &str) -> f64 {
    let series = format!("linkerd_failover_{name} ");
    let line = metrics.lines().find(|line| line.starts_with(&series));
    line.and_then(|line| line.rsplit_once(' ')?.1.parse().ok()).unwrap_or(f64::NAN)
}
