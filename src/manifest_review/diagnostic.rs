//! A diagnostic: one line about an object of the input.

use crate::engine::{Problem, Severity};
use crate::kinds::one_line::one_line;
use std::fmt;

/// How much a diagnostic weighs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Level {
    /// The webhook refuses the object.
    Error,
    /// The webhook takes the object, and warns.
    Warning,
    /// The webhook may refuse the object, or warn: a fact is not known.
    NotChecked,
    /// What the webhook does with the object.
    Note,
    /// Not an object.
    Unreadable,
}

impl From<Severity> for Level {
    fn from(severity: Severity) -> Self {
        match severity {
            Severity::Error => Self::Error,
            Severity::Warning => Self::Warning,
            Severity::Unknown => Self::NotChecked,
        }
    }
}

/// An object of the input.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Subject {
    pub kind: String,
    pub namespace: String,
    pub name: String,
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", one_line(&self.kind), one_line(&self.name))
    }
}

/// What a diagnostic says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Message {
    Problem(Problem),
    Note(String),
}

/// One line about an object of the input, or about a document that is none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Diagnostic {
    pub level: Level,
    pub file: String,
    /// From 1; none of a file that cannot be read.
    pub line: Option<usize>,
    /// None of what is no object.
    pub subject: Option<Subject>,
    pub message: Message,
}

impl Diagnostic {
    /// The message in one line, with the field where it is about an object.
    pub(crate) fn text(&self) -> String {
        let text = match (&self.message, &self.subject) {
            (Message::Note(note), _) => note.clone(),
            (Message::Problem(problem), Some(_)) => problem.to_string(),
            (Message::Problem(problem), None) => problem.message(),
        };
        let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
        one_line(&lines.collect::<Vec<_>>().join(" ")).into_owned()
    }

    /// The place in the input, as compilers write it.
    pub(crate) fn place(&self) -> String {
        let file = one_line(&self.file);
        match self.line {
            Some(line) => format!("{file}:{line}"),
            None => file.into_owned(),
        }
    }
}
