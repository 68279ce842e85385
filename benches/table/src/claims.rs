//! What a command proves: claims with their bounds, what was measured, and whether it held.

use crate::layout::markdown;
use crate::machine::{commit, machine};
use anyhow::Context;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::path::{Path, PathBuf};

/// The table in which `make bench`, `make chaos`, `make fuzz` and their like end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claims {
    /// The target of make, by which its files are called.
    pub command: String,
    /// What was measured, with `(changed)` where the work tree differs from it.
    pub commit: String,
    /// On what.
    pub machine: String,
    /// What else the figures depend on, a line each.
    pub conditions: Vec<String>,
    /// The claims, in the order in which they were judged.
    pub claims: Vec<Claim>,
}

/// A statement with its bound, and what was found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claim {
    /// What is claimed.
    pub name: String,
    /// What has to be kept.
    pub bound: String,
    /// What was found; empty where nothing was measured.
    pub measured: String,
    /// Whether the bound was kept.
    pub verdict: Verdict,
    /// What else is to be known.
    pub note: String,
}

/// Whether a bound was kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// It was.
    Held,
    /// It was not.
    Missed,
    /// Nothing is known; the note says why.
    NotMeasured,
}

impl Verdict {
    /// By whether the bound was kept.
    pub fn of(kept: bool) -> Self {
        if kept { Self::Held } else { Self::Missed }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Held => "held",
            Self::Missed => "MISSED",
            Self::NotMeasured => "not measured",
        })
    }
}

impl Claim {
    /// A claim that was judged.
    pub fn new(
        name: impl Into<String>,
        bound: impl Into<String>,
        measured: impl Into<String>,
        kept: bool,
    ) -> Self {
        let verdict = Verdict::of(kept);
        let (name, bound, measured) = (name.into(), bound.into(), measured.into());
        Self { name, bound, measured, verdict, note: String::new() }
    }

    /// A claim that was not, and why.
    pub fn not_measured(
        name: impl Into<String>,
        bound: impl Into<String>,
        why: impl Into<String>,
    ) -> Self {
        let claim = Self::new(name, bound, "", false);
        Self { verdict: Verdict::NotMeasured, note: why.into(), ..claim }
    }

    /// With a note.
    pub fn note(self, note: impl Into<String>) -> Self {
        Self { note: note.into(), ..self }
    }
}

const HEAD: [&str; 5] = ["claim", "bound", "measured", "verdict", "note"];

impl Claims {
    /// Without claims yet: of the commit that is checked out, on this machine.
    pub fn new(command: impl Into<String>) -> Self {
        let (command, commit, machine) = (command.into(), commit(), machine());
        Self { command, commit, machine, conditions: vec![], claims: vec![] }
    }

    /// Whether every claim was measured, and held; false of a table without claims, which proves nothing.
    pub fn all_held(&self) -> bool {
        let held = |claim: &Claim| claim.verdict == Verdict::Held;
        !self.claims.is_empty() && self.claims.iter().all(held)
    }

    /// As a page of Markdown.
    pub fn markdown(&self) -> String {
        let Self { command, commit, machine, conditions, claims } = self;
        let conditions: String = conditions.iter().map(|line| format!("- {line}\n")).collect();
        let held = claims.iter().filter(|claim| claim.verdict == Verdict::Held).count();
        format!(
            "# make {command}\n\n- commit: {commit}\n- machine: {machine}\n{conditions}\n{}\n{held} of {} held\n",
            self.table(),
            claims.len()
        )
    }

    /// The claims alone, a line each.
    pub(crate) fn table(&self) -> String {
        let cells = |claim: &Claim| {
            let Claim { name, bound, measured, verdict, note } = claim;
            let cells = [name, bound, measured, &verdict.to_string(), note].map(|text| cell(text));
            cells.to_vec()
        };
        let head = HEAD.map(str::to_owned).to_vec();
        let lines: Vec<_> = std::iter::once(head).chain(self.claims.iter().map(cells)).collect();
        markdown(&lines)
    }

    /// Writes `<command>.md` and `<command>.json` into a folder, which is made.
    pub fn write(&self, folder: &Path) -> anyhow::Result<()> {
        std::fs::create_dir_all(folder).with_context(|| format!("cannot make {folder:?}"))?;
        let json = serde_json::to_string_pretty(self)? + "\n";
        for (ending, text) in [("md", self.markdown()), ("json", json)] {
            let file = folder.join(format!("{}.{ending}", self.command));
            std::fs::write(&file, text).with_context(|| format!("cannot write {file:?}"))?;
        }
        Ok(())
    }

    /// Where the tables of all commands are: `proof` in cargo's target folder.
    pub fn folder() -> PathBuf {
        let target = std::env::var_os("CARGO_TARGET_DIR").map(PathBuf::from);
        target.unwrap_or_else(|| "target".into()).join("proof")
    }
}

/// Text that keeps within its cell.
fn cell(text: &str) -> String {
    text.replace('|', "\\|").split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
#[path = "claims_tests.rs"]
mod tests;
