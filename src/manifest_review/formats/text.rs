//! Lines for people, as compilers write them.

use crate::manifest_review::diagnostic::{Diagnostic, Level};
use crate::manifest_review::report::Report;

/// A line for each diagnostic, then what was not checked, then the result.
pub(super) fn print(report: &Report) -> String {
    let lines = report.diagnostics.iter().map(line);
    lines.chain(not_checked(report)).chain([report.summary() + "\n"]).collect()
}

fn line(diagnostic: &Diagnostic) -> String {
    let level = match diagnostic.level {
        Level::Error | Level::Unreadable => "",
        Level::Warning => "warning: ",
        Level::NotChecked => "not checked: ",
        Level::Note => "note: ",
    };
    let subject = diagnostic.subject.as_ref().map(|subject| format!("{subject}: "));
    let (place, subject) = (diagnostic.place(), subject.unwrap_or_default());
    format!("{place}: {level}{subject}{}\n", diagnostic.text())
}

/// What was not checked of any object, in one line.
pub(super) fn not_checked(report: &Report) -> Option<String> {
    let what = report.not_checked.what.join("; ");
    (!what.is_empty()).then(|| match report.not_checked.has_cluster {
        true => format!("not checked: {what}\n"),
        false => format!("not checked, since no cluster is asked: {what}; --live asks one\n"),
    })
}
