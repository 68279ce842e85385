//! What the parts of one cluster share: its folder, its addresses, its tools.

use crate::command::Invocation;
use crate::folder::RunFolder;
use crate::kept;
use crate::process::{Launch, Process};
use crate::slot::Slot;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use test_tools::Tools;

/// Lives as long as anything of the cluster does; its end removes the folder.
#[derive(Debug)]
pub(crate) struct Site {
    pub folder: RunFolder,
    pub slot: Slot,
    pub tools: Tools,
    /// The API server's URL and the CA that it is trusted by.
    pub server: String,
    pub ca: String,
    launched: AtomicUsize,
    pods: AtomicUsize,
}

impl Site {
    pub(crate) fn new(
        folder: RunFolder,
        slot: Slot,
        tools: Tools,
        server: String,
        ca: String,
    ) -> Self {
        Self {
            folder,
            slot,
            tools,
            server,
            ca,
            launched: AtomicUsize::new(0),
            pods: AtomicUsize::new(0),
        }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Starts a process that logs to, and is recorded in, the folder.
    pub(crate) fn launch(&self, launch: Launch) -> anyhow::Result<Process> {
        let log = self.path(&format!("logs/{}.log", launch.name));
        let process = Process::start(launch, log, self.slot.hold()?)?;
        let nth = self.launched.fetch_add(1, Ordering::Relaxed);
        kept::record(self.folder.path(), nth, &process)?;
        if self.folder.is_kept() {
            process.keep()?;
        }
        Ok(process)
    }

    /// The number of a pod of this cluster that no other has.
    pub(crate) fn next_pod(&self) -> usize {
        self.pods.fetch_add(1, Ordering::Relaxed)
    }

    pub(crate) fn command(&self, program: &str) -> Invocation {
        Invocation::new(self.tools.program(program), &self.path("kubeconfig"), &self.path("home"))
    }
}
