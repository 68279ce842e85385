//! Each fault is written down, with its time, before it is made; and all else that the observer is told.

use crate::facts::{Clock, Fact};
use anyhow::Context;
use serde::Serialize;
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use tokio::sync::mpsc;

/// Where facts go: into a file of JSON lines, and then to the observer.
#[derive(Debug)]
pub struct Journal {
    clock: Clock,
    path: PathBuf,
    file: Mutex<File>,
    observer: Mutex<Option<mpsc::UnboundedSender<Fact>>>,
}

impl Journal {
    /// Begins a new file.
    pub fn create(
        path: &Path,
        clock: Clock,
        observer: mpsc::UnboundedSender<Fact>,
    ) -> anyhow::Result<Self> {
        let folder = path.parent().context("a journal needs a folder")?;
        std::fs::create_dir_all(folder).with_context(|| format!("cannot make {folder:?}"))?;
        let file = File::create(path).with_context(|| format!("cannot write {path:?}"))?;
        let observer = Mutex::new(Some(observer));
        Ok(Self { clock, path: path.into(), file: Mutex::new(file), observer })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The clock of the run.
    pub fn clock(&self) -> Clock {
        self.clock
    }

    /// A line that is no fact, such as the plan.
    pub fn line(&self, line: &impl Serialize) {
        let Ok(mut text) = serde_json::to_string(line) else { return };
        text.push('\n');
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        // A full disk must not end the run: the observer has it anyway.
        let _ = file.write_all(text.as_bytes());
    }

    /// Writes a fact down, and then tells the observer.
    pub fn fact(&self, fact: Fact) {
        self.line(&fact);
        let observer = self.observer.lock().unwrap_or_else(PoisonError::into_inner);
        // It has ended where the run has.
        let _ = observer.as_ref().map(|observer| observer.send(fact));
    }

    /// Nothing more is told to the observer, which ends with that.
    pub fn close(&self) {
        drop(self.observer.lock().unwrap_or_else(PoisonError::into_inner).take());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fact_is_in_the_file_when_the_observer_has_it() {
        let folder = std::env::temp_dir().join(format!("chaos-journal-{}", std::process::id()));
        let (sender, mut receiver) = mpsc::unbounded_channel();
        let clock = Clock::start();
        let journal = Journal::create(&folder.join("journal.jsonl"), clock, sender).unwrap();
        journal.fact(Fact::WorldQuiet { at: clock.now() });
        assert!(matches!(receiver.try_recv(), Ok(Fact::WorldQuiet { .. })));
        let text = std::fs::read_to_string(journal.path()).unwrap();
        assert!(text.starts_with(r#"{"world-quiet":{"at":"#), "{text}");
        std::fs::remove_dir_all(folder).unwrap();
    }
}
