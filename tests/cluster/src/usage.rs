//! What a process uses, by /proc.

use anyhow::Context;
use nix::time::ClockId;
use nix::unistd::Pid;
use std::fs::read_to_string;
use std::time::Duration;

/// Which file of /proc has a field, and its name.
const RESIDENT: (&str, &str) = ("status", "VmRSS:");
const PEAK: (&str, &str) = ("status", "VmHWM:");
const ANONYMOUS: (&str, &str) = ("status", "RssAnon:");
const THREADS: (&str, &str) = ("status", "Threads:");
/// The kernel's sum over all mappings, in which no page is late.
const SUMMED_RESIDENT: (&str, &str) = ("smaps_rollup", "Rss:");
const SUMMED_ANONYMOUS: (&str, &str) = ("smaps_rollup", "Anonymous:");

/// Memory in MiB.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MemoryUsage {
    /// All that is resident.
    pub resident: f64,
    /// Of that, what is not of a file.
    pub anonymous: f64,
}

/// The time of all threads of a process that have not ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CpuUsage {
    /// On a CPU, to the nanosecond, where `/proc/PID/stat` counts in hundredths of a second.
    pub ran: Duration,
    /// In a CPU's queue.
    pub waited: Duration,
}

/// What is in memory now.
///
/// # Errors
///
/// The process has ended.
pub fn memory(pid: u32) -> anyhow::Result<MemoryUsage> {
    Ok(MemoryUsage { resident: mib(pid, RESIDENT)?, anonymous: mib(pid, ANONYMOUS)? })
}

/// The same by the kernel's sum over all mappings, which takes longer.
///
/// # Errors
///
/// The process has ended.
pub fn summed_memory(pid: u32) -> anyhow::Result<MemoryUsage> {
    let resident = mib(pid, SUMMED_RESIDENT)?;
    Ok(MemoryUsage { resident, anonymous: mib(pid, SUMMED_ANONYMOUS)? })
}

/// The most MiB that were resident since its start, or since [`reset_peak_memory`].
///
/// # Errors
///
/// The process has ended.
pub fn peak_memory(pid: u32) -> anyhow::Result<f64> {
    mib(pid, PEAK)
}

/// Lets [`peak_memory`] begin with what is resident now.
///
/// # Errors
///
/// The process has ended, or is another user's.
pub fn reset_peak_memory(pid: u32) -> anyhow::Result<()> {
    let path = format!("/proc/{pid}/clear_refs");
    std::fs::write(&path, "5").with_context(|| format!("cannot write {path}"))
}

/// Its threads.
///
/// # Errors
///
/// The process has ended.
pub fn threads(pid: u32) -> anyhow::Result<u64> {
    field(pid, THREADS)
}

/// Its open descriptors.
///
/// # Errors
///
/// The process has ended.
pub fn descriptors(pid: u32) -> anyhow::Result<usize> {
    let path = format!("/proc/{pid}/fd");
    Ok(std::fs::read_dir(&path).with_context(|| format!("cannot read {path}"))?.count())
}

/// The CPU time of all its threads, those that have ended too, to the nanosecond.
///
/// # Errors
///
/// The process has ended.
pub fn cpu_time(pid: u32) -> anyhow::Result<Duration> {
    let clock = ClockId::pid_cpu_clock_id(Pid::from_raw(pid.try_into()?));
    let time = clock.and_then(ClockId::now).with_context(|| format!("the CPU clock of {pid}"))?;
    Ok(time.into())
}

/// The time that its threads have run and waited.
///
/// # Errors
///
/// The process has ended.
pub fn cpu(pid: u32) -> anyhow::Result<CpuUsage> {
    let path = format!("/proc/{pid}/task");
    let mut sum = CpuUsage::default();
    for thread in std::fs::read_dir(&path).with_context(|| format!("cannot read {path}"))? {
        // It may have ended meanwhile.
        let Ok(text) = read_to_string(thread?.path().join("schedstat")) else { continue };
        let one = parse(&text).with_context(|| format!("{path}: schedstat is {text:?}"))?;
        sum.ran += one.ran;
        sum.waited += one.waited;
    }
    Ok(sum)
}

/// A field in KiB, in MiB.
fn mib(pid: u32, of: (&str, &str)) -> anyhow::Result<f64> {
    Ok(field(pid, of)? as f64 / 1024.0)
}

/// The number of a line `field: value`, which is in KiB where it is of memory.
fn field(pid: u32, (file, name): (&str, &str)) -> anyhow::Result<u64> {
    let path = format!("/proc/{pid}/{file}");
    let text = read_to_string(&path).with_context(|| format!("cannot read {path}"))?;
    number(&text, name).with_context(|| format!("{path} has no {name}"))
}

fn number(text: &str, name: &str) -> Option<u64> {
    let value = text.lines().find_map(|line| line.strip_prefix(name))?;
    value.split_whitespace().next()?.parse().ok()
}

/// Nanoseconds on a CPU, nanoseconds in its queue, and a number of turns.
fn parse(schedstat: &str) -> Option<CpuUsage> {
    let mut numbers =
        schedstat.split_whitespace().map(|number| number.parse().map(Duration::from_nanos));
    let mut next = || numbers.next()?.ok();
    Some(CpuUsage { ran: next()?, waited: next()? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_is_found_by_its_whole_name() {
        let status = "Name:\tlinkerd-failover\nVmRSS:\t   2048 kB\nThreads:\t12\n";
        assert_eq!(number(status, "VmRSS:"), Some(2048));
        assert_eq!(number(status, "Threads:"), Some(12));
        assert_eq!(number("Name:\tx\n", "VmRSS:"), None);
    }

    #[test]
    fn a_thread_that_has_ended_is_in_the_time_of_its_process() {
        let used = || cpu_time(std::process::id()).unwrap();
        let before = used();
        let worker =
            std::thread::spawn(move || while used() < before + Duration::from_millis(30) {});
        worker.join().unwrap();
        assert!(used() >= before + Duration::from_millis(30));
    }

    #[test]
    fn a_thread_has_run_and_waited() {
        let ms = Duration::from_millis;
        let usage = CpuUsage { ran: ms(100), waited: ms(10) };
        assert_eq!(parse("100000000 10000000 7\n"), Some(usage));
        assert_eq!(parse("100000000\n"), None);
    }

    #[test]
    fn this_process_uses_something_of_all() {
        let own = std::process::id();
        let (now, peak) = (memory(own).unwrap(), peak_memory(own).unwrap());
        assert!(now.resident > 0.0 && now.anonymous > 0.0 && peak > 0.0);
        assert!(summed_memory(own).unwrap().resident > 0.0);
        assert!(descriptors(own).unwrap() > 0 && threads(own).unwrap() > 0);
        assert!(cpu(own).unwrap().ran > Duration::ZERO);
    }
}
