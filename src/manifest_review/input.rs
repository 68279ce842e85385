//! The input of a review: what was read of files, and what could not be read.

use super::diagnostic::{Diagnostic, Level, Message};
use super::entry::{Entry, EntryKind};
use crate::engine::Problem;
use crate::manifests::documents::{self, Document, NotAManifest};
use crate::manifests::position::Position;
use serde_json::Value;

/// What was read, in its order.
#[derive(Debug, Default)]
pub(crate) struct Input {
    pub(super) entries: Vec<Entry>,
    pub(super) unreadable: Vec<Diagnostic>,
    /// By the names that they were given by.
    pub(super) files: Vec<String>,
    /// Documents of kinds that are of no interest.
    pub(super) skipped: usize,
    /// The namespace of objects that name none.
    namespace: String,
}

impl Input {
    pub(crate) fn new(namespace: &str) -> Self {
        Self { namespace: namespace.to_owned(), ..Self::default() }
    }

    /// Adds the content of a file.
    pub(crate) fn add(&mut self, file: &str, content: &[u8]) {
        self.files.push(file.to_owned());
        for document in documents::read(file, content) {
            match document.object {
                Ok(object) => self.add_object(file, document.position, object),
                Err(_) => self.unreadable.push(unreadable(file, &document)),
            }
        }
    }

    /// Adds a file that cannot be read at all.
    pub(crate) fn add_unreadable(&mut self, file: &str, problem: Problem) {
        self.files.push(file.to_owned());
        let message = Message::Problem(problem);
        let (file, level) = (file.to_owned(), Level::Unreadable);
        self.unreadable.push(Diagnostic { level, file, line: None, subject: None, message });
    }

    fn add_object(&mut self, file: &str, position: Position, object: Value) {
        match EntryKind::of(&object) {
            Some(kind) => {
                self.entries.push(Entry::new(kind, file, position, object, &self.namespace));
            }
            None => self.skipped += 1,
        }
    }
}

fn unreadable(file: &str, document: &Document) -> Diagnostic {
    let error = document.object.as_ref().err();
    let line = error.and_then(NotAManifest::line).unwrap_or_else(|| document.position.first_line());
    let found = error.map(ToString::to_string).unwrap_or_default();
    let next = match (document.is_template, error) {
        (true, _) => {
            "it looks like a template: render it first, as in helm template … | linkerd-failover validate -f -"
        }
        (_, Some(NotAManifest::NotAnObject(_))) => {
            "write apiVersion, kind and metadata at its top, or take it out"
        }
        _ => "mend it there: kubectl cannot read it either",
    };
    let problem =
        Problem::error("YAML").found(found).expected("a manifest in YAML or JSON").next(next);
    Diagnostic {
        level: Level::Unreadable,
        file: file.to_owned(),
        line: Some(line),
        subject: None,
        message: Message::Problem(problem),
    }
}
