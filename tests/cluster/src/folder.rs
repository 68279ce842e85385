//! The folder of one run: data, logs, configuration.

use anyhow::Context;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use test_tools::scratch;

/// How many folders this process has named.
static FOLDERS: AtomicUsize = AtomicUsize::new(0);
const OWNER: &str = "owner.lock";
const KEPT: &str = "kept";
/// Folders that only make sense while the processes live.
const WORKING: [&str; 3] = ["data", "pki", "home"];

/// A folder that is removed when it is dropped, unless it is kept.
#[derive(Debug)]
pub(crate) struct RunFolder {
    path: PathBuf,
    kept: AtomicBool,
    /// Locked while this process runs: the sweep of another process keeps its hands off.
    _owner: File,
}

impl RunFolder {
    /// Makes a new one, after removing those whose owner has died.
    pub(crate) fn create() -> anyhow::Result<Self> {
        let runs = scratch().join("run");
        create_dir(&runs)?;
        // Between making a folder and locking it, it looks like a dead one's.
        let gate = File::create(runs.join(".lock"))?;
        gate.lock().context("cannot lock the folder of the runs")?;
        sweep(&runs)?;
        let path = unused_name(&runs, &FOLDERS);
        create_dir(&path)?;
        let owner = File::create(path.join(OWNER))?;
        owner.lock().context("cannot lock the run's folder")?;
        for folder in ["data", "logs", "pki", "pids", "home"] {
            create_dir(&path.join(folder))?;
        }
        Ok(Self { path, kept: AtomicBool::new(false), _owner: owner })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Leaves it in place, for good.
    pub(crate) fn keep(&self) -> anyhow::Result<()> {
        self.kept.store(true, Ordering::Relaxed);
        std::fs::write(self.path.join(KEPT), "").context("cannot mark the folder as kept")
    }

    pub(crate) fn is_kept(&self) -> bool {
        self.kept.load(Ordering::Relaxed)
    }
}

impl Drop for RunFolder {
    fn drop(&mut self) {
        if self.is_kept() {
            return;
        }
        if std::thread::panicking() {
            for folder in WORKING {
                let _ = std::fs::remove_dir_all(self.path.join(folder));
            }
            let _ = self.keep();
            eprintln!("logs of the cluster: {}", self.path.join("logs").display());
            return;
        }
        let _ = std::fs::remove_dir_all(&self.path);
    }
}

/// A name that this process has not used before: a folder that is being dropped can be gone by the
/// sweep already, and what is then made under its name would be removed by the end of the drop.
fn unused_name(runs: &Path, named: &AtomicUsize) -> PathBuf {
    loop {
        let n = named.fetch_add(1, Ordering::Relaxed);
        let path = runs.join(format!("{}-{n}", std::process::id()));
        // A process of the same id that has ended can have kept its folder.
        if !path.exists() {
            return path;
        }
    }
}

fn sweep(runs: &Path) -> anyhow::Result<()> {
    for entry in std::fs::read_dir(runs)? {
        let path = entry?.path();
        if path.is_dir() && !path.join(KEPT).exists() && owner_is_dead(&path) {
            // Its last processes may be ending still: what cannot go now goes next time.
            let _ = std::fs::remove_dir_all(&path);
        }
    }
    Ok(())
}

fn owner_is_dead(path: &Path) -> bool {
    File::open(path.join(OWNER)).map_or(true, |owner| owner.try_lock().is_ok())
}

fn create_dir(path: &Path) -> anyhow::Result<()> {
    std::fs::create_dir_all(path).with_context(|| format!("cannot create {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_of_a_removed_folder_is_not_used_again() -> anyhow::Result<()> {
        let (runs, named) = (tempfile::tempdir()?, AtomicUsize::new(0));
        let first = unused_name(runs.path(), &named);
        create_dir(&first)?;
        std::fs::remove_dir_all(&first)?;
        assert_ne!(unused_name(runs.path(), &named), first);
        Ok(())
    }

    #[test]
    fn a_folder_that_another_process_left_is_passed_over() -> anyhow::Result<()> {
        let (runs, named) = (tempfile::tempdir()?, AtomicUsize::new(0));
        let left = unused_name(runs.path(), &named);
        create_dir(&left)?;
        assert_ne!(unused_name(runs.path(), &AtomicUsize::new(0)), left);
        Ok(())
    }
}
