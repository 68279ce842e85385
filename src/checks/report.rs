//! The results of checks, and how they are printed: as Linkerd prints its own, and as it reads them.

use crate::checks::facts::Facts;
use crate::checks::outcome::Outcome;
use crate::checks::table::{CAN_QUERY, CHECKS, Check, INSTALLED, PROGRAM, When};
use serde::Serialize;

/// The page with a heading for each check.
const DOCUMENTATION: &str = concat!(env!("CARGO_PKG_REPOSITORY"), "/blob/main/docs/checks.md#");

const UNPRINTABLE: &str = r#"{"success":false,"categories":[{"categoryName":"linkerd-failover","checks":[{"description":"the report can be printed","result":"error","error":"found a defect of this program"}]}]}"#;

/// The results of all checks that apply.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Report {
    success: bool,
    categories: Vec<Category>,
    /// The checks that failed and may pass by themselves in a while.
    #[serde(skip)]
    transient: Vec<&'static str>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
struct Category {
    category_name: &'static str,
    checks: Vec<CheckResult>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
struct CheckResult {
    description: String,
    result: Verdict,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Verdict {
    Success,
    Warning,
    Error,
}

/// Whether colour is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Colour {
    Terminal,
    None,
}

impl Report {
    /// Every check that applies, by these facts.
    pub(crate) fn of(facts: &Facts, is_before: bool) -> Self {
        let mut report = Self { success: true, categories: vec![], transient: vec![] };
        let applies = |check: &&Check| match check.when {
            When::Always => true,
            When::Before => is_before,
            When::Installed => !is_before,
        };
        for check in CHECKS.iter().filter(applies) {
            let outcome = (check.check)(facts);
            if check.transient && matches!(outcome, Outcome::Error(_)) {
                report.transient.push(check.description);
            }
            report.add(check.category, check.description, check.anchor, outcome);
        }
        report
    }

    /// One check failed, and no other could be made.
    pub(crate) fn failed((description, anchor): (&str, &str), why: &str) -> Self {
        let mut report = Self { success: true, categories: vec![], transient: vec![] };
        if (description, anchor) == INSTALLED {
            report.add(PROGRAM, CAN_QUERY.0, CAN_QUERY.1, Outcome::Passed);
        }
        report.add(PROGRAM, description, anchor, Outcome::Error(why.to_owned()));
        report
    }

    fn add(&mut self, category: &'static str, description: &str, anchor: &str, outcome: Outcome) {
        let (result, error) = match outcome {
            Outcome::Skipped => return,
            Outcome::Passed => (Verdict::Success, None),
            Outcome::Warning(why) => (Verdict::Warning, Some(why)),
            Outcome::Error(why) => (Verdict::Error, Some(why)),
        };
        self.success &= result != Verdict::Error;
        let hint = error.as_ref().map(|_| format!("{DOCUMENTATION}{anchor}"));
        let result = CheckResult { description: description.to_owned(), result, error, hint };
        match self.categories.last_mut().filter(|last| last.category_name == category) {
            Some(last) => last.checks.push(result),
            None => {
                self.categories.push(Category { category_name: category, checks: vec![result] });
            }
        }
    }

    pub(crate) fn is_success(&self) -> bool {
        self.success
    }

    /// The checks that failed and may pass by themselves in a while.
    pub(crate) fn transient(&self) -> &[&'static str] {
        &self.transient
    }

    /// As Linkerd reads it.
    pub(crate) fn to_json(&self) -> String {
        // Linkerd takes a report without checks for one of success.
        let json = serde_json::to_string_pretty(self);
        json.unwrap_or_else(|_| UNPRINTABLE.to_owned()) + "\n"
    }

    /// As Linkerd prints its own; `short`: without what has passed.
    pub(crate) fn to_table(&self, is_short: bool, colour: Colour) -> String {
        let mut text = String::new();
        for Category { category_name, checks } in &self.categories {
            let shown = checks.iter().filter(|check| !is_short || check.result != Verdict::Success);
            let lines: String = shown.map(|check| check.to_lines(colour)).collect();
            if !lines.is_empty() {
                let line = "-".repeat(category_name.len());
                text.push_str(&format!("{category_name}\n{line}\n{lines}\n"));
            }
        }
        let all = if self.success { Verdict::Success } else { Verdict::Error };
        text + &format!("Status check results are {}\n", all.sign(colour))
    }
}

impl CheckResult {
    fn to_lines(&self, colour: Colour) -> String {
        let mut lines = format!("{} {}\n", self.result.sign(colour), self.description);
        if let Some(error) = &self.error {
            lines.push_str(&format!("    {error}\n"));
        }
        if let Some(hint) = &self.hint {
            lines.push_str(&format!("    see {hint} for hints\n"));
        }
        lines
    }
}

impl Verdict {
    fn sign(self, colour: Colour) -> String {
        let (sign, code) = match self {
            Self::Success => ("√", 32),
            Self::Warning => ("‼", 33),
            Self::Error => ("×", 31),
        };
        match colour {
            Colour::None => sign.to_owned(),
            Colour::Terminal => format!("\u{1b}[{code};1m{sign}\u{1b}[0m"),
        }
    }
}
