//! Clusters that outlive the process that started them.

use crate::process::Process;
use anyhow::Context;
use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// A cluster that was left running.
#[derive(Clone, Debug)]
pub struct Kept {
    /// Its folder: logs, data, and a `kubeconfig`.
    pub folder: PathBuf,
    /// The names and ids of its processes.
    pub processes: Vec<(String, u32)>,
}

impl fmt::Display for Kept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let folder = self.folder.display();
        writeln!(f, "The cluster keeps running: KUBECONFIG={folder}/kubeconfig")?;
        for (name, pid) in &self.processes {
            writeln!(f, "  {pid:>8} {name}")?;
        }
        write!(f, "End it: cargo run -q -p test-cluster --bin test-cluster-stop {folder}")
    }
}

/// A process on record. Its supervisor holds the record's folder in its
/// command line, so an id that was given to another process is noticed.
struct Record {
    name: String,
    supervisor: u32,
    pid: u32,
}

pub(crate) fn record(folder: &Path, nth: usize, process: &Process) -> anyhow::Result<()> {
    let path = folder.join("pids").join(format!("{nth:05}"));
    let text = format!("{} {} {}", process.supervisor(), process.pid(), process.name());
    std::fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))
}

/// Ends what runs of the cluster in `folder`, the last started first, and
/// removes the folder. Returns the names of what was ended.
pub fn stop_kept(folder: &Path) -> anyhow::Result<Vec<String>> {
    let folder = folder
        .canonicalize()
        .with_context(|| format!("there is no folder {}", folder.display()))?;
    let mut ended = Vec::new();
    for record in records(&folder)?.into_iter().rev() {
        if record.is_ours(&folder) {
            record.end(&folder)?;
            ended.push(format!("{} ({})", record.name, record.pid));
        }
    }
    std::fs::remove_dir_all(&folder)
        .with_context(|| format!("cannot remove {}", folder.display()))?;
    Ok(ended)
}

fn records(folder: &Path) -> anyhow::Result<Vec<Record>> {
    let pids = folder.join("pids");
    let mut paths = std::fs::read_dir(&pids)
        .and_then(|entries| entries.map(|entry| Ok(entry?.path())).collect::<Result<Vec<_>, _>>())
        .with_context(|| format!("{} is not the folder of a cluster", folder.display()))?;
    paths.sort();
    paths
        .iter()
        .map(|path| {
            let text = std::fs::read_to_string(path)?;
            parse(&text).with_context(|| format!("{} is no record", path.display()))
        })
        .collect()
}

fn parse(text: &str) -> Option<Record> {
    let mut words = text.splitn(3, ' ');
    Some(Record {
        supervisor: words.next()?.parse().ok()?,
        pid: words.next()?.parse().ok()?,
        name: words.next()?.to_string(),
    })
}

impl Record {
    fn is_ours(&self, folder: &Path) -> bool {
        let command = std::fs::read(format!("/proc/{}/cmdline", self.supervisor));
        let command = String::from_utf8_lossy(&command.unwrap_or_default()).into_owned();
        let log = folder.join("logs").display().to_string();
        command.contains(&log) && parent(self.pid) == Some(self.supervisor)
    }

    fn end(&self, folder: &Path) -> anyhow::Result<()> {
        for (signal, patience) in
            [(Signal::SIGTERM, Duration::from_secs(10)), (Signal::SIGKILL, Duration::from_secs(5))]
        {
            let pid = i32::try_from(self.pid).context("no process id")?;
            match kill(Pid::from_raw(pid), signal) {
                Ok(()) | Err(Errno::ESRCH) => {}
                Err(error) => anyhow::bail!("cannot end {} ({pid}): {error}", self.name),
            }
            let end = Instant::now() + patience;
            while Instant::now() < end {
                if !self.is_ours(folder) {
                    return Ok(());
                }
                std::thread::sleep(Duration::from_millis(20));
            }
        }
        anyhow::bail!("{} ({}) does not end", self.name, self.pid)
    }
}

fn parent(pid: u32) -> Option<u32> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // After the name, which is in parentheses and may hold anything: state, parent.
    let (_, after_name) = stat.rsplit_once(") ")?;
    after_name.split(' ').nth(1)?.parse().ok()
}
