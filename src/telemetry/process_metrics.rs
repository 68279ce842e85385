//! Metrics of the process, by the names that every Prometheus client has for them.

use crate::telemetry::macros::sampled_metrics;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, NoLabelSet};
use prometheus_client::registry::Registry;
use std::{fmt, fs};

sampled_metrics! {
    /// Metrics of the process.
    pub(crate) enum ProcessMetric {
        Cpu: Counter =
            "process_cpu" in Seconds,
            "CPU time that the process has used, of user and system";
        Threads: Gauge =
            "process_threads",
            "Threads of the process";
        Resident: Gauge =
            "process_resident_memory_bytes",
            "Memory of the process that is resident";
        Virtual: Gauge =
            "process_virtual_memory_bytes",
            "Address space of the process";
        OpenFiles: Gauge =
            "process_open_fds",
            "File descriptors that the process has open, connections included";
        MostFiles: Gauge =
            "process_max_fds",
            "File descriptors that the process may have open; none where there is no limit";
        Started: Gauge =
            "process_start_time" in Seconds,
            "When the process started, since the epoch";
    }
}

/// The kernel counts CPU time in hundredths of a second for whoever reads /proc.
const TICKS: f64 = 100.0;

/// The process.
#[derive(Debug)]
pub(crate) struct ProcessMetrics;

impl ProcessMetrics {
    /// Puts them into a registry.
    pub(crate) fn register(self, registry: &mut Registry) {
        registry.register_collector(Box::new(self));
    }
}

impl Collector for ProcessMetrics {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let read = |name: &str| fs::read_to_string(format!("/proc/{name}")).unwrap_or_default();
        let stat = read("self/stat");
        if let Some(cpu) = cpu_seconds(&stat) {
            let mut cpu_encoder = ProcessMetric::Cpu.begin(&mut encoder)?;
            cpu_encoder.encode_counter::<NoLabelSet, _, f64>(&cpu, None)?;
        }
        let status = read("self/status");
        let kilobytes = |field| Some(number_of(&status, field)? * 1024);
        let gauges = [
            (ProcessMetric::Threads, number_of(&status, "Threads:")),
            (ProcessMetric::Resident, kilobytes("VmRSS:")),
            (ProcessMetric::Virtual, kilobytes("VmSize:")),
            (ProcessMetric::OpenFiles, open_files()),
            (ProcessMetric::MostFiles, most_files(&read("self/limits"))),
        ];
        for (metric, value) in gauges {
            if let Some(value) = value {
                metric.begin(&mut encoder)?.encode_gauge(&value)?;
            }
        }
        match started(&stat, &read("stat")) {
            Some(started) => ProcessMetric::Started.begin(&mut encoder)?.encode_gauge(&started),
            None => Ok(()),
        }
    }
}

/// The CPU time in /proc/self/stat: the 14th field and the 15th.
fn cpu_seconds(stat: &str) -> Option<f64> {
    Some(ticks(stat, 14)? + ticks(stat, 15)?)
}

/// When the process started: in the 22nd field, since the time at which the system booted.
fn started(stat: &str, of_system: &str) -> Option<f64> {
    Some(number_of(of_system, "btime ")? as f64 + ticks(stat, 22)?)
}

/// A time in /proc/self/stat, in seconds. The second field, the name of the program in parentheses, may have
/// blanks.
fn ticks(stat: &str, field: usize) -> Option<f64> {
    let (_, from_third) = stat.rsplit_once(") ")?;
    let ticks: u64 = from_third.split(' ').nth(field - 3)?.parse().ok()?;
    Some(ticks as f64 / TICKS)
}

/// The number beside a field.
fn number_of(status: &str, field: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix(field))?;
    line.split_whitespace().next()?.parse().ok()
}

/// The soft limit in /proc/self/limits.
fn most_files(limits: &str) -> Option<u64> {
    number_of(limits, "Max open files")
}

fn open_files() -> Option<u64> {
    // One of them reads the folder.
    let open = fs::read_dir("/proc/self/fd").ok()?.count().checked_sub(1)?;
    u64::try_from(open).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_kernel_shows_is_read_whatever_the_name_of_the_program_is() {
        let stat = "1 (a) (b c) S 0 1 1 0 -1 4194560 9 0 0 0 150 75 0 0 20 0 3 0 700 1 2";
        assert_eq!(cpu_seconds(stat), Some(2.25));
        assert_eq!(started(stat, "cpu 1 2\nbtime 1700000000\n"), Some(1_700_000_007.0));
        assert_eq!((cpu_seconds("1 (a) S"), cpu_seconds("")), (None, None));
        let status = "VmSize:\t  2048 kB\nVmRSS:\t    10 kB\nThreads:\t3\n";
        assert_eq!(number_of(status, "VmRSS:"), Some(10));
        assert_eq!(number_of(status, "VmSwap:"), None);
        let limits = |soft: &str| {
            format!(
                "Limit  Soft Limit  Hard Limit  Units\nMax open files            {soft}                 4096                 files\n"
            )
        };
        assert_eq!(most_files(&limits("1024")), Some(1024));
        assert_eq!(most_files(&limits("unlimited")), None);
    }
}
