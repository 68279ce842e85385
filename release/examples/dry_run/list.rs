//! The list at the end.

use release::checksum;
use std::fmt;
use std::path::Path;

/// What a dry run has made and seen, and what it could not make.
#[derive(Debug, Default)]
pub(crate) struct List {
    made: Vec<Made>,
    seen: Vec<(String, String)>,
    not_made: Vec<(String, String)>,
}

#[derive(Debug)]
struct Made {
    name: String,
    size: u64,
    digest: String,
}

impl List {
    /// A file.
    pub(crate) fn file(&mut self, path: &Path) -> anyhow::Result<()> {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let size = std::fs::metadata(path)?.len();
        self.made(name, size, format!("sha256:{}", checksum::of_file(path)?));
        Ok(())
    }

    /// Something in a registry.
    pub(crate) fn made(&mut self, name: impl Into<String>, size: u64, digest: impl Into<String>) {
        self.made.push(Made { name: name.into(), size, digest: digest.into() });
    }

    /// What was compared or run, and what came of it.
    pub(crate) fn seen(&mut self, what: impl Into<String>, outcome: impl Into<String>) {
        self.seen.push((what.into(), outcome.into()));
    }

    /// What could not be made here, and why.
    pub(crate) fn not_made(&mut self, what: impl Into<String>, why: impl Into<String>) {
        self.not_made.push((what.into(), why.into()));
    }
}

impl fmt::Display for List {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "Made:")?;
        for Made { name, size, digest } in &self.made {
            writeln!(f, "  {name}\n    {size} bytes, {digest}")?;
        }
        writeln!(f, "Seen:")?;
        for (what, outcome) in &self.seen {
            writeln!(f, "  {what}: {outcome}")?;
        }
        writeln!(f, "Not made here:")?;
        for (what, why) in &self.not_made {
            writeln!(f, "  {what}: {why}")?;
        }
        Ok(())
    }
}
