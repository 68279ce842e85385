//! What a process has in memory, by /proc.

use anyhow::{Context, Result};

/// Resident now, in MiB.
pub fn resident(pid: u32) -> Result<f64> {
    field(pid, "VmRSS:")
}

/// The most that was resident since its start, or since [`reset_peak`], in MiB.
pub fn peak(pid: u32) -> Result<f64> {
    field(pid, "VmHWM:")
}

/// Lets [`peak`] begin with what is resident now.
pub fn reset_peak(pid: u32) -> Result<()> {
    let path = format!("/proc/{pid}/clear_refs");
    std::fs::write(&path, "5").with_context(|| format!("cannot write {path}"))
}

fn field(pid: u32, name: &str) -> Result<f64> {
    let path = format!("/proc/{pid}/status");
    let status = std::fs::read_to_string(&path).with_context(|| format!("cannot read {path}"))?;
    let line = status.lines().find(|line| line.starts_with(name));
    let kib = line.and_then(|line| line.split_whitespace().nth(1));
    let kib = kib.with_context(|| format!("{path} has no {name}"))?;
    Ok(kib.parse::<f64>()? / 1024.0)
}
