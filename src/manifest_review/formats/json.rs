//! One JSON object for programs. `docs/validate.md` has its fields; one that is added does not change `version`.

use crate::manifest_review::diagnostic::{Diagnostic, Level, Message};
use crate::manifest_review::report::{Outcome, Report};
use serde::Serialize;

/// Changes where a field changes its meaning, or is gone.
const VERSION: u32 = 1;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Root<'a> {
    version: u32,
    outcome: &'static str,
    diagnostics: Vec<Entry<'a>>,
    not_checked: &'a [String],
    files: usize,
    objects: usize,
    unmanaged: usize,
    context: usize,
    skipped: usize,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Entry<'a> {
    level: &'static str,
    file: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    line: Option<usize>,
    #[serde(flatten)]
    object: Option<Object<'a>>,
    #[serde(flatten)]
    parts: Parts<'a>,
    /// All of it, as a line.
    message: String,
}

#[derive(Serialize)]
struct Object<'a> {
    kind: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    namespace: &'a str,
    name: &'a str,
}

#[derive(Default, Serialize)]
struct Parts<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    field: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    found: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    expected: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<&'a str>,
}

pub(super) fn print(report: &Report) -> String {
    let counts = report.counts;
    let root = Root {
        version: VERSION,
        outcome: match report.outcome() {
            Outcome::Admitted => "admitted",
            Outcome::Faults => "faults",
            Outcome::Unreadable => "unreadable",
        },
        diagnostics: report.diagnostics.iter().map(entry).collect(),
        not_checked: &report.not_checked.what,
        files: counts.files,
        objects: counts.objects,
        unmanaged: counts.unmanaged,
        context: counts.context,
        skipped: counts.skipped,
    };
    // Every key is text: nothing of it can fail.
    serde_json::to_string_pretty(&root).unwrap_or_default() + "\n"
}

fn entry(diagnostic: &Diagnostic) -> Entry<'_> {
    let subject = diagnostic.subject.as_ref();
    Entry {
        level: match diagnostic.level {
            Level::Error => "error",
            Level::Warning => "warning",
            Level::NotChecked => "notChecked",
            Level::Note => "note",
            Level::Unreadable => "unreadable",
        },
        file: &diagnostic.file,
        line: diagnostic.line,
        object: subject.map(|subject| Object {
            kind: &subject.kind,
            namespace: &subject.namespace,
            name: &subject.name,
        }),
        parts: parts(diagnostic),
        message: diagnostic.text(),
    }
}

/// The parts of a problem; a note is one sentence.
fn parts(diagnostic: &Diagnostic) -> Parts<'_> {
    let Message::Problem(problem) = &diagnostic.message else { return Parts::default() };
    Parts {
        field: diagnostic.subject.as_ref().map(|_| problem.field.to_string()),
        found: Some(&problem.found),
        expected: Some(&problem.expected),
        next: problem.next.as_deref(),
    }
}
