//! Of what and on what something was measured.

use std::fs::read_to_string;
use std::process::Command;
use std::thread::available_parallelism;

/// The commit that is checked out; `(changed)` after it where tracked files differ.
pub(crate) fn commit() -> String {
    let git = |line: &[&str]| {
        let output = Command::new("git").args(line).output().ok()?;
        output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
    };
    let Some(commit) = git(&["rev-parse", "--short=12", "HEAD"]) else {
        return "unknown".to_owned();
    };
    match git(&["status", "--porcelain", "--untracked-files=no"]) {
        Some(changes) if changes.is_empty() => commit,
        _ => format!("{commit} (changed)"),
    }
}

/// CPUs, memory and kernel, as far as they are known.
pub(crate) fn machine() -> String {
    let cpus = available_parallelism().map_or(0, usize::from);
    let model = read_to_string("/proc/cpuinfo").ok().and_then(|text| field(&text, "model name"));
    let memory = read_to_string("/proc/meminfo").ok().and_then(|text| field(&text, "MemTotal"));
    let memory = memory.and_then(|text| text.trim_end_matches(" kB").parse::<f64>().ok());
    let memory = memory.map(|kib| format!("{:.0} GiB of memory", kib / 1_048_576.0));
    let kernel = read_to_string("/proc/sys/kernel/osrelease").ok();
    let kernel = kernel.map(|release| format!("Linux {}", release.trim()));
    let cpus = format!("{cpus} CPUs ({})", model.as_deref().unwrap_or("of an unknown model"));
    [Some(cpus), memory, kernel].into_iter().flatten().collect::<Vec<_>>().join(", ")
}

/// Of the first line `name : value`.
fn field(text: &str, name: &str) -> Option<String> {
    let lines = text.lines().filter_map(|line| line.split_once(':'));
    let mut values = lines.filter(|(key, _)| key.trim() == name).map(|(_, value)| value.trim());
    values.next().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_is_found_by_its_whole_name() {
        let text = "model\t\t: 1\nmodel name\t: AMD EPYC\nmodel name\t: other\n";
        assert_eq!(field(text, "model name").as_deref(), Some("AMD EPYC"));
        assert_eq!(field(text, "MemTotal"), None);
    }

    #[test]
    fn the_machine_has_cpus() {
        assert!(machine().contains(" CPUs ("), "{}", machine());
    }
}
