//! The runs of all commands that used one folder.

use crate::run::Fuzzed;
use anyhow::{Context, Result};
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

/// Runs by target, of this command and of those before it.
pub(crate) struct Totals(BTreeMap<String, u64>);

impl Totals {
    /// Adds the runs of this command to those that the folder has counted.
    pub(crate) fn add(folder: &Path, fuzzed: &[Fuzzed]) -> Result<Self> {
        let file = folder.join("runs.json");
        let mut runs: BTreeMap<String, u64> = match fs::read(&file) {
            Ok(text) => serde_json::from_slice(&text).with_context(|| format!("{file:?}"))?,
            Err(_) => BTreeMap::new(),
        };
        for one in fuzzed {
            *runs.entry(one.target.clone()).or_default() += one.runs;
        }
        fs::write(&file, serde_json::to_vec_pretty(&runs)?)
            .with_context(|| format!("cannot write {file:?}"))?;
        Ok(Self(runs))
    }

    pub(crate) fn of(&self, target: &str) -> u64 {
        self.0.get(target).copied().unwrap_or_default()
    }

    pub(crate) fn all(&self) -> u64 {
        self.0.values().sum()
    }
}
