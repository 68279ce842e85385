//! Mutants and what came of them, as cargo-mutants writes them.

use serde::{Deserialize, Serialize};

/// A change of the program.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Mutant {
    /// Its file, line and column, and what is changed.
    pub name: String,
    /// Its file, from the root of the repository.
    pub file: String,
    /// Where it is in the file.
    pub span: Span,
}

/// Where a change is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub struct Span {
    /// Where it begins.
    pub start: Place,
}

/// A place in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub struct Place {
    /// From 1.
    pub line: usize,
    /// From 1.
    pub column: usize,
}

impl Mutant {
    /// Its name without line and column: it stays when lines come before it.
    pub fn without_place(&self) -> String {
        let Place { line, column } = self.span.start;
        let place = format!("{}:{line}:{column}: ", self.file);
        let change = self.name.strip_prefix(&place).unwrap_or(&self.name);
        format!("{}: {change}", self.file)
    }
}

/// What came of a mutant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// A test failed.
    Caught,
    /// The tests used many times the CPU that they need, and were ended: as good as caught.
    Endless,
    /// The tests did not come to their end in time, for whatever reason: nothing is known.
    TimedOut,
    /// It does not compile, and is no fault that somebody can make.
    Unviable,
    /// Every test passed.
    Survived,
}

/// The mutants of `cargo mutants --list --json`.
pub fn listed(json: &str) -> serde_json::Result<Vec<Mutant>> {
    serde_json::from_str(json)
}

/// The outcomes of `mutants.out/outcomes.json`, by the mutants' names. Of each log, by its name, has to be known
/// whether it has the end of a process that used more CPU than it may.
pub fn outcomes(
    json: &str,
    is_endless: impl Fn(&str) -> bool,
) -> serde_json::Result<Vec<(String, Outcome)>> {
    let written: Written = serde_json::from_str(json)?;
    let outcomes =
        written.outcomes.into_iter().filter_map(|one| match (one.scenario, one.summary) {
            (Scenario::Mutant(mutant), Summary::CaughtMutant) => {
                let endless = is_endless(&one.log_path);
                Some((mutant.name, if endless { Outcome::Endless } else { Outcome::Caught }))
            }
            (Scenario::Mutant(mutant), Summary::MissedMutant) => {
                Some((mutant.name, Outcome::Survived))
            }
            (Scenario::Mutant(mutant), Summary::Timeout) => Some((mutant.name, Outcome::TimedOut)),
            (Scenario::Mutant(mutant), Summary::Unviable) => Some((mutant.name, Outcome::Unviable)),
            // The program itself, or what says nothing of the tests.
            (Scenario::Baseline | Scenario::Mutant(_), _) => None,
        });
    Ok(outcomes.collect())
}

#[derive(Deserialize)]
struct Written {
    outcomes: Vec<One>,
}

#[derive(Deserialize)]
struct One {
    scenario: Scenario,
    summary: Summary,
    log_path: String,
}

#[derive(Deserialize)]
enum Scenario {
    Baseline,
    Mutant(Mutant),
}

#[derive(Deserialize)]
enum Summary {
    CaughtMutant,
    MissedMutant,
    Timeout,
    Unviable,
    #[serde(other)]
    Other,
}

#[cfg(test)]
mod tests {
    use super::*;

    const MUTANT: &str = r#"{"name": "src/a.rs:3:5: replace f -> u32 with 0", "file": "src/a.rs", "genre": "FnValue",
        "span": {"start": {"line": 3, "column": 5}, "end": {"line": 4, "column": 1}}}"#;

    #[test]
    fn a_mutant_is_known_without_its_place() {
        let mutants = listed(&format!("[{MUTANT}]")).unwrap();
        assert_eq!(mutants[0].without_place(), "src/a.rs: replace f -> u32 with 0");
    }

    #[test]
    fn only_what_came_of_mutants_is_read() {
        let one = |scenario: &str, summary: &str| {
            format!(
                r#"{{"scenario": {scenario}, "summary": "{summary}", "log_path": "log/a.log", "phase_results": []}}"#
            )
        };
        let mutant = format!(r#"{{"Mutant": {MUTANT}}}"#);
        let cases = [
            ("\"Baseline\"", "Success", None),
            (&mutant, "CaughtMutant", Some(Outcome::Caught)),
            (&mutant, "MissedMutant", Some(Outcome::Survived)),
            (&mutant, "Timeout", Some(Outcome::TimedOut)),
            (&mutant, "Unviable", Some(Outcome::Unviable)),
            (&mutant, "Failure", None),
        ];
        for (scenario, summary, outcome) in cases {
            let json = format!(r#"{{"outcomes": [{}], "missed": 1}}"#, one(scenario, summary));
            let expected: Vec<_> = outcome
                .map(|outcome| ("src/a.rs:3:5: replace f -> u32 with 0".to_owned(), outcome))
                .into_iter()
                .collect();
            assert_eq!(outcomes(&json, |_| false).unwrap(), expected, "{scenario} {summary}");
        }
    }

    #[test]
    fn tests_that_failed_because_they_used_too_much_cpu_are_endless() {
        let mutant = format!(r#"{{"Mutant": {MUTANT}}}"#);
        let of = |summary: &str| {
            let json = format!(
                r#"{{"outcomes": [{{"scenario": {mutant}, "summary": "{summary}", "log_path": "log/a.log"}}]}}"#
            );
            outcomes(&json, |log| log == "log/a.log").unwrap()[0].1
        };
        assert_eq!(of("CaughtMutant"), Outcome::Endless);
        assert_eq!(of("Timeout"), Outcome::TimedOut);
        assert_eq!(of("MissedMutant"), Outcome::Survived);
    }
}
