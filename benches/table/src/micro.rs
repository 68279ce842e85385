//! Counts of single steps beside those that are stored: instructions, or allocations.

use crate::claims::Claim;
use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// How much more than what is stored a step may take, in percent.
const OVER: u64 = 3;

/// What each step took.
pub type Counts = BTreeMap<String, u64>;

/// What is stored: of each toolchain, of each unit, what each step took. A compiler makes other code of the
/// same source, so that the counts of one say nothing of another's.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Baseline(BTreeMap<String, BTreeMap<String, Counts>>);

impl Baseline {
    /// What is stored of a toolchain and a unit.
    pub fn of(&self, toolchain: &str, unit: &str) -> Option<&Counts> {
        self.0.get(toolchain)?.get(unit)
    }

    /// Stores these.
    pub fn set(&mut self, toolchain: &str, unit: &str, counts: Counts) {
        self.0.entry(toolchain.to_owned()).or_default().insert(unit.to_owned(), counts);
    }
}

/// A claim for each step: that it takes at most 3% more than what is stored.
pub fn judge(unit: &str, stored: Option<&Counts>, measured: &Counts) -> Vec<Claim> {
    let empty = Counts::new();
    let stored = stored.unwrap_or(&empty);
    let steps: BTreeSet<&String> = stored.keys().chain(measured.keys()).collect();
    let claim = |step: &String| match (stored.get(step), measured.get(step)) {
        (Some(&stored), Some(&measured)) => {
            let most = u128::from(stored) * u128::from(100 + OVER);
            let kept = u128::from(measured) * 100 <= most;
            let change = (measured as f64 / stored as f64 - 1.0) * 100.0;
            Claim::new(
                step,
                format!("≤ {stored} {unit} + {OVER}%"),
                format!("{measured} {unit}, {change:+.2}%"),
                kept,
            )
        }
        (None, Some(measured)) => {
            let why = format!("{measured} {unit}; nothing is stored of this toolchain");
            Claim::not_measured(step, "", why)
        }
        (Some(stored), None) => {
            let bound = format!("≤ {stored} {unit} + {OVER}%");
            Claim::not_measured(step, bound, "this step was not counted")
        }
        (None, None) => Claim::not_measured(step, "", ""),
    };
    steps.into_iter().map(claim).collect()
}

/// The instructions of each step, from what gungraun prints as JSON: a document for each.
pub fn instructions(printed: &str) -> Result<Counts> {
    let mut counts = Counts::new();
    for document in serde_json::Deserializer::from_str(printed).into_iter::<Value>() {
        let document = document.context("gungraun's output is no JSON")?;
        let step = document["id"].as_str().context("gungraun names no step")?.to_owned();
        let count = instructions_of(&document);
        let count = count.with_context(|| format!("gungraun counts no instructions of {step}"))?;
        counts.insert(step, count);
    }
    anyhow::ensure!(!counts.is_empty(), "gungraun has printed nothing");
    Ok(counts)
}

/// The metric `Ir` of the run, not of one before.
fn instructions_of(document: &Value) -> Option<u64> {
    let mut profiles = document["profiles"].as_array()?.iter();
    let callgrind = profiles.find(|profile| profile["tool"] == "Callgrind")?;
    callgrind["data"]["total"]["metrics"]["Ir"]["values"]["new"].as_u64()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::claims::Verdict::{Held, Missed, NotMeasured};

    fn counts(of: &[(&str, u64)]) -> Counts {
        of.iter().map(|(step, count)| ((*step).to_owned(), *count)).collect()
    }

    #[test]
    fn a_step_that_takes_more_than_three_percent_more_is_missed() {
        let stored = counts(&[("decide_2", 1_000)]);
        for (measured, verdict) in [(900, Held), (1_030, Held), (1_031, Missed), (2_000, Missed)] {
            let claims = judge("instructions", Some(&stored), &counts(&[("decide_2", measured)]));
            assert_eq!(claims[0].verdict, verdict, "{measured}");
        }
    }

    #[test]
    fn a_step_of_which_one_of_both_is_missing_is_not_measured() {
        let (stored, measured) = (counts(&[("gone", 10)]), counts(&[("new", 10)]));
        let claims = judge("instructions", Some(&stored), &measured);
        assert_eq!(claims.len(), 2);
        assert!(claims.iter().all(|claim| claim.verdict == NotMeasured));
        assert!(judge("instructions", None, &measured)[0].note.contains("nothing is stored"));
    }

    #[test]
    fn instructions_are_those_of_the_run_and_not_of_one_before() {
        let printed = |step: &str, ir: &str| {
            format!(
                r#"{{"id":"{step}","profiles":[{{"tool":"Callgrind","data":{{"total":{{"metrics":{{"Ir":{{"values":{ir}}}}}}}}}}}]}}"#
            )
        };
        let both = printed("decide_2", r#"{"new":28560,"old":27000}"#)
            + "\n"
            + &printed("decide_100", r#"{"new":595227}"#);
        let expected = counts(&[("decide_100", 595_227), ("decide_2", 28_560)]);
        assert_eq!(instructions(&both).unwrap(), expected);
        assert!(instructions("").is_err());
        assert!(instructions(&printed("decide_2", "{}")).is_err());
    }

    #[test]
    fn each_toolchain_has_a_baseline_of_its_own() {
        let mut baseline = Baseline::default();
        baseline.set("rustc 1.95.0", "instructions", counts(&[("decide_2", 1)]));
        assert_eq!(baseline.of("rustc 1.96.0", "instructions"), None);
        assert_eq!(baseline.of("rustc 1.95.0", "allocations"), None);
        let json = serde_json::to_string(&baseline).unwrap();
        assert_eq!(serde_json::from_str::<Baseline>(&json).unwrap(), baseline);
    }
}
