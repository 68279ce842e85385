//! What is known of mutants from runs before, so that shards add up.

use crate::mutant::Outcome;
use crate::tests_left_out::tests_left_out;
use anyhow::Context;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};

/// The outcomes of one room's mutants, in a file.
#[derive(Debug)]
pub struct Kept {
    file: PathBuf,
    known: BTreeMap<String, Known>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Known {
    /// Of the text of its file, without the tests in it.
    digest: u64,
    outcome: Outcome,
}

impl Kept {
    /// What the file has; nothing where there is none.
    pub fn load(file: PathBuf) -> anyhow::Result<Self> {
        let known = match fs::read_to_string(&file) {
            Ok(text) => serde_json::from_str(&text).with_context(|| {
                format!("{}: found what is no list of outcomes; remove it", file.display())
            })?,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => BTreeMap::new(),
            Err(error) => return Err(error).with_context(|| format!("cannot read {file:?}")),
        };
        Ok(Self { file, known })
    }

    /// Nothing, whatever the file has.
    pub fn forgotten(file: PathBuf) -> Self {
        Self { file, known: BTreeMap::new() }
    }

    /// What came of a mutant of a file with this text.
    pub fn outcome(&self, name: &str, text: &str) -> Option<Outcome> {
        self.known.get(name).filter(|known| known.digest == digest(text)).map(|known| known.outcome)
    }

    /// Keeps what came of a mutant of a file with this text.
    pub fn keep(&mut self, name: String, text: &str, outcome: Outcome) {
        self.known.insert(name, Known { digest: digest(text), outcome });
    }

    /// Writes the file.
    pub fn write(&self) -> anyhow::Result<()> {
        if let Some(folder) = self.file.parent().filter(|folder| *folder != Path::new("")) {
            fs::create_dir_all(folder).with_context(|| format!("cannot make {folder:?}"))?;
        }
        let text = serde_json::to_string_pretty(&self.known)? + "\n";
        fs::write(&self.file, text).with_context(|| format!("cannot write {:?}", self.file))
    }
}

/// Another digest after an update of Rust costs a run, and no more.
fn digest(text: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    tests_left_out(text).hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outcome_is_known_until_the_code_of_its_file_changes() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a/engine.json");
        let mut kept = Kept::load(file.clone()).unwrap();
        kept.keep("one".into(), "text\n", Outcome::Survived);
        kept.keep("one".into(), "text\n", Outcome::Caught);
        kept.write().unwrap();
        let kept = Kept::load(file.clone()).unwrap();
        assert_eq!(kept.outcome("one", "text\n"), Some(Outcome::Caught));
        let with_tests = "text\n#[cfg(test)]\nmod tests {\n    fn x() {}\n}\n";
        assert_eq!(kept.outcome("one", with_tests), Some(Outcome::Caught));
        assert_eq!(kept.outcome("one", "other text"), None);
        assert_eq!(kept.outcome("two", "text\n"), None);
        assert_eq!(Kept::forgotten(file).outcome("one", "text\n"), None);
    }

    #[test]
    fn a_file_that_is_damaged_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("engine.json");
        fs::write(&file, "{").unwrap();
        let refused = Kept::load(file).unwrap_err().to_string();
        assert!(refused.contains("engine.json") && refused.contains("remove it"), "{refused}");
    }
}
