//! What a review found, and what follows for whoever ran it.

use super::diagnostic::{Diagnostic, Level};
use std::collections::HashMap;

/// How much was reviewed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub files: usize,
    /// Objects that were judged.
    pub objects: usize,
    /// Objects of the kinds that are failed over, which the selector does not match.
    pub unmanaged: usize,
    /// Objects that others were judged by: Services, Namespaces, ServiceProfiles, ReferenceGrants.
    pub context: usize,
    /// All other documents.
    pub skipped: usize,
}

/// How a review ended, the worst last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Outcome {
    Admitted,
    Faults,
    /// Something could not be read: nothing is known of it.
    Unreadable,
}

impl Outcome {
    /// The exit code of the command.
    pub(crate) fn exit_code(self) -> u8 {
        self as u8
    }
}

/// What was not checked of any object, in words.
#[derive(Debug)]
pub(super) struct NotChecked {
    /// Whether a cluster was asked.
    pub has_cluster: bool,
    pub what: Vec<String>,
}

/// What a review found.
#[derive(Debug)]
pub(crate) struct Report {
    /// In the order of the input.
    pub(super) diagnostics: Vec<Diagnostic>,
    pub(super) not_checked: NotChecked,
    pub(super) counts: Counts,
}

impl Report {
    pub(super) fn new(
        mut diagnostics: Vec<Diagnostic>,
        files: &[String],
        not_checked: NotChecked,
        counts: Counts,
    ) -> Self {
        let mut order = HashMap::new();
        for (nth, file) in files.iter().enumerate() {
            order.entry(file.as_str()).or_insert(nth);
        }
        diagnostics
            .sort_by_key(|diagnostic| (order.get(diagnostic.file.as_str()), diagnostic.line));
        Self { diagnostics, not_checked, counts }
    }

    /// The same where a warning is a fault.
    pub(crate) fn strictly(mut self) -> Self {
        for diagnostic in &mut self.diagnostics {
            if diagnostic.level == Level::Warning {
                diagnostic.level = Level::Error;
            }
        }
        self
    }

    /// How it ended.
    pub(crate) fn outcome(&self) -> Outcome {
        match (self.count(Level::Unreadable), self.count(Level::Error)) {
            (0, 0) => Outcome::Admitted,
            (0, _) => Outcome::Faults,
            _ => Outcome::Unreadable,
        }
    }

    pub(super) fn count(&self, level: Level) -> usize {
        self.diagnostics.iter().filter(|diagnostic| diagnostic.level == level).count()
    }

    /// The result in one line, for people.
    pub(super) fn summary(&self) -> String {
        let Counts { files, objects, unmanaged, context, skipped } = self.counts;
        let mut parts = vec![match self.outcome() {
            Outcome::Admitted if objects == 0 => "ok: nothing to validate".to_owned(),
            Outcome::Admitted => format!("ok: {} would be admitted", counted(objects, "object")),
            Outcome::Faults => {
                let faults = counted(self.count(Level::Error), "fault");
                format!("{faults} in {}", counted(objects, "object"))
            }
            Outcome::Unreadable => {
                let faults = counted(self.count(Level::Error), "fault");
                let unreadable = counted(self.count(Level::Unreadable), "document");
                format!(
                    "{unreadable} could not be read; {faults} in {}",
                    counted(objects, "object")
                )
            }
        }];
        let others = [
            (self.count(Level::Warning), "warning", ""),
            (self.count(Level::NotChecked), "fact", " not checked"),
            (unmanaged, "object", " without the label"),
            (context, "object", " for context"),
            (skipped, "document", " of other kinds skipped"),
            (files, "file", ""),
        ];
        let others = others.into_iter().filter(|(count, ..)| *count > 0);
        parts.extend(others.map(|(count, of, what)| format!("{}{what}", counted(count, of))));
        parts.join(", ")
    }
}

/// `1 object`, `2 objects`.
fn counted(count: usize, of: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {of}{plural}")
}
