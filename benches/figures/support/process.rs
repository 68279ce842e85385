//! What a process uses, read from /proc.

use anyhow::{Context, Result, ensure};
use std::time::{Duration, Instant};

/// MiB of memory.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Memory {
    pub resident: f64,
    /// Of that, what is not of a file.
    pub own: f64,
}

pub(crate) fn memory(pid: u32) -> Result<Memory> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    Ok(Memory { resident: mib(&status, "VmRSS:")?, own: mib(&status, "RssAnon:")? })
}

/// The same by the kernel's sum over all mappings, in which no page is late.
pub(crate) fn smaps(pid: u32) -> Result<Memory> {
    let rollup = std::fs::read_to_string(format!("/proc/{pid}/smaps_rollup"))?;
    Ok(Memory { resident: mib(&rollup, "Rss:")?, own: mib(&rollup, "Anonymous:")? })
}

/// The value of a line `field: value kB`.
fn mib(text: &str, field: &str) -> Result<f64> {
    let line = text.lines().find(|line| line.starts_with(field)).context("no such field")?;
    let kib = line.split_whitespace().nth(1).context("no number")?;
    Ok(kib.parse::<f64>()? / 1024.0)
}

/// The time that its threads have run, to the nanosecond, where `/proc/PID/stat` counts in hundredths
/// of a second. Threads that have ended are missing.
pub(crate) fn cpu(pid: u32) -> Result<Duration> {
    let mut nanoseconds = 0;
    for thread in std::fs::read_dir(format!("/proc/{pid}/task"))? {
        // It may have ended meanwhile.
        let Ok(text) = std::fs::read_to_string(thread?.path().join("schedstat")) else { continue };
        let first = text.split_whitespace().next().context("no such field")?;
        nanoseconds += first.parse::<u64>()?;
    }
    Ok(Duration::from_nanos(nanoseconds))
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
