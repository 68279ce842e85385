//! Mutants that are no defect: what they change cannot be told from the program, and the reason why.

use crate::mutant::Mutant;
use anyhow::{Context, ensure};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::Path;

/// The list, beside this crate.
pub const FILE: &str = "tests/mutants/no-defect.yaml";

/// A line of the list.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NoDefect {
    /// Its name without line and column.
    pub mutant: String,
    /// Text of the line where it begins, where a function has several mutants with this name.
    #[serde(default)]
    pub line: Option<String>,
    /// Why no test can fail for it.
    pub because: String,
}

/// The list of a repository.
pub fn read(repository: &Path) -> anyhow::Result<Vec<NoDefect>> {
    let text = std::fs::read_to_string(repository.join(FILE))
        .with_context(|| format!("cannot read {FILE}"))?;
    serde_saphyr::from_str(&text)
        .with_context(|| format!("{FILE}: found what is no list of mutants"))
}

/// The reasons, by the names of mutants. An entry of one of these files that is no mutant any more, or is more than
/// one, is refused.
pub fn reasons(
    list: &[NoDefect],
    mutants: &[Mutant],
    text_of: impl Fn(&str) -> String,
) -> anyhow::Result<BTreeMap<String, String>> {
    let mut reasons = BTreeMap::new();
    for entry in list {
        let matches = |mutant: &&Mutant| {
            mutant.without_place() == entry.mutant
                && entry.line.as_deref().is_none_or(|part| {
                    let line = mutant.span.start.line.saturating_sub(1);
                    text_of(&mutant.file).lines().nth(line).is_some_and(|line| line.contains(part))
                })
        };
        let found: Vec<&Mutant> = mutants.iter().filter(matches).collect();
        let name = &entry.mutant;
        ensure!(
            found.len() == 1,
            "{FILE}: {name}: found {} mutants with this name, expected one; {}",
            found.len(),
            if found.is_empty() { "remove the entry" } else { "add a `line` that only one has" }
        );
        reasons.insert(found[0].name.clone(), entry.because.clone());
    }
    Ok(reasons)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mutant::{Place, Span};

    fn mutant(line: usize) -> Mutant {
        let span = Span { start: Place { line, column: 7 } };
        let name = format!("src/a.rs:{line}:7: replace < with <= in f");
        Mutant { name, file: "src/a.rs".into(), span }
    }

    fn entry(line: Option<&str>) -> NoDefect {
        let mutant = "src/a.rs: replace < with <= in f".into();
        NoDefect { mutant, line: line.map(str::to_owned), because: "they are never equal".into() }
    }

    #[test]
    fn an_entry_is_one_mutant() {
        let text = |_: &str| "fn f() {\n    a < b\n    c < d\n".to_owned();
        let both = [mutant(2), mutant(3)];
        let reasons = |line, mutants: &[Mutant]| super::reasons(&[entry(line)], mutants, text);
        let found = reasons(Some("c < d"), &both).unwrap();
        assert_eq!(found[&both[1].name], "they are never equal");
        assert_eq!(found.len(), 1);
        assert_eq!(reasons(None, &both[..1]).unwrap().len(), 1);
        let refused = reasons(None, &both).unwrap_err().to_string();
        assert!(refused.contains("found 2 mutants"), "{refused}");
        let refused = reasons(Some("e < f"), &both).unwrap_err().to_string();
        assert!(refused.contains("remove the entry"), "{refused}");
    }

    #[test]
    fn each_entry_of_the_list_has_a_reason() {
        let list = read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")).unwrap();
        for entry in list {
            assert!(entry.because.split_whitespace().count() >= 4, "{}", entry.mutant);
        }
    }
}
