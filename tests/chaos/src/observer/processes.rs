//! What processes take, by `/proc`, and what they write into their logs.

use crate::facts::Fact;
use crate::invariants::Sample;
use std::collections::BTreeMap;
use std::fs;
use std::io::{Read, Seek, SeekFrom};
use test_cluster::usage;

/// The processes of replicas.
#[derive(Debug, Default)]
pub(super) struct Processes {
    running: BTreeMap<u32, String>,
    logs: BTreeMap<String, Log>,
}

/// A log, and how far it has been read.
#[derive(Debug)]
struct Log {
    replica: String,
    read: u64,
}

impl Processes {
    /// A process has started, or ended.
    pub(super) fn hear(&mut self, fact: &Fact) {
        match fact {
            Fact::ReplicaStarted { replica, pid, log, .. } => {
                self.running.insert(*pid, replica.clone());
                self.logs
                    .entry(log.clone())
                    .or_insert_with(|| Log { replica: replica.clone(), read: 0 });
            }
            Fact::ReplicaExited { pid, .. } => {
                self.running.remove(pid);
            }
            _ => {}
        }
    }

    /// Looks at every process.
    pub(super) fn look(&self, take: &mut dyn FnMut(&Sample)) {
        for (pid, replica) in &self.running {
            if let Ok(sample) = sample(*pid, replica) {
                take(&sample);
            }
        }
    }

    /// The lines about panics that have been written since this was asked last, each with its replica.
    pub(super) fn panics(&mut self) -> Vec<(String, String)> {
        let mut panics = vec![];
        for (file, log) in &mut self.logs {
            let text = read_on(file, &mut log.read).unwrap_or_default();
            let lines = text.lines().filter(|line| is_panic(line));
            panics.extend(lines.map(|line| (log.replica.clone(), line.to_owned())));
        }
        panics
    }
}

fn is_panic(line: &str) -> bool {
    line.contains("panicked at")
}

/// Whole lines from there on.
fn read_on(file: &str, from: &mut u64) -> std::io::Result<String> {
    let mut log = fs::File::open(file)?;
    log.seek(SeekFrom::Start(*from))?;
    let mut new = vec![];
    log.read_to_end(&mut new)?;
    let whole = new.iter().rposition(|byte| *byte == b'\n').map_or(0, |last| last + 1);
    new.truncate(whole);
    *from += whole as u64;
    Ok(String::from_utf8_lossy(&new).into_owned())
}

fn sample(pid: u32, replica: &str) -> anyhow::Result<Sample> {
    let mebibytes = usage::memory(pid)?.resident;
    Ok(Sample {
        replica: replica.to_owned(),
        pid,
        resident: (mebibytes * f64::from(1 << 20)) as u64,
        descriptors: usage::descriptors(pid)?,
        threads: usage::threads(pid)? as usize,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    #[test]
    fn a_sample_has_the_resident_memory_and_the_descriptors() {
        assert!(
            sample(std::process::id(), "one")
                .is_ok_and(|own| own.resident > 0 && own.descriptors > 0)
        );
    }

    #[test]
    fn a_log_is_read_on_from_its_last_whole_line() {
        let file = std::env::temp_dir().join(format!("chaos-log-{}", std::process::id()));
        let path = file.display().to_string();
        let mut log = fs::File::create(&file).unwrap();
        let mut from = 0;
        write!(log, "one\ntw").unwrap();
        assert_eq!(read_on(&path, &mut from).unwrap(), "one\n");
        writeln!(log, "o panicked at").unwrap();
        let more = read_on(&path, &mut from).unwrap();
        assert!(more.lines().any(is_panic) && more.starts_with("two"));
        fs::remove_file(&file).unwrap();
    }
}
