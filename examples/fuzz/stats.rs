//! What libFuzzer and the targets report of a run.

use serde::Deserialize;
use std::fs;
use std::path::Path;
use std::time::Duration;

/// libFuzzer's own figures.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Stats {
    pub(crate) runs: u64,
    pub(crate) per_second: u64,
    pub(crate) rss_mib: u64,
}

impl Stats {
    /// Reads the lines `stat::name: value`.
    pub(crate) fn read(log: &str) -> Self {
        let value = |name: &str| {
            let line =
                log.lines().rev().find_map(|line| line.strip_prefix("stat::")?.strip_prefix(name));
            line.and_then(|line| line.trim_start_matches(':').trim().parse().ok())
                .unwrap_or_default()
        };
        Self {
            runs: value("number_of_executed_units"),
            per_second: value("average_exec_per_sec"),
            rss_mib: value("peak_rss_mb"),
        }
    }
}

/// The largest of all runs of a target.
#[derive(Clone, Copy, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Measures {
    /// CPU time.
    slowest_nanos: u64,
    /// The most that was allocated at one time.
    pub(crate) largest_bytes: u64,
}

impl Measures {
    /// As the target wrote it; zero where it wrote nothing.
    pub(crate) fn read(path: &Path) -> Self {
        let text = fs::read(path).unwrap_or_default();
        serde_json::from_slice(&text).unwrap_or_default()
    }

    pub(crate) fn slowest(&self) -> Duration {
        Duration::from_nanos(self.slowest_nanos)
    }
}
