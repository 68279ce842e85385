//! The input of a review: what was read of files, and what could not be read.

use super::diagnostic::{Diagnostic, Level, Message};
use super::entry::{Entry, EntryKind};
use crate::engine::Problem;
use crate::manifests::documents::{self, Document};
use crate::manifests::not_a_manifest::NotAManifest;
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
            let Document { position, is_template, object, .. } = document;
            match object {
                Ok(object) if is_template_of_name(&object) => {
                    self.unreadable.push(unreadable(
                        file,
                        &position,
                        true,
                        &NotAManifest::Template,
                    ));
                }
                Ok(object) => self.add_object(file, position, object),
                Err(error) => {
                    self.unreadable.push(unreadable(file, &position, is_template, &error));
                }
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

/// Braces in quotes are YAML too.
fn is_template_of_name(object: &Value) -> bool {
    let text = |path| object.pointer(path).and_then(Value::as_str).unwrap_or_default();
    ["/metadata/name", "/metadata/namespace"].iter().any(|path| text(path).contains("{{"))
}

fn unreadable(
    file: &str,
    position: &Position,
    is_template: bool,
    error: &NotAManifest,
) -> Diagnostic {
    let line = error.line().unwrap_or_else(|| position.first_line());
    let next = match error {
        _ if is_template => {
            "it looks like a template: render it first, as in helm template … | linkerd-failover validate -f -"
        }
        NotAManifest::NotAnObject(_) => {
            "write apiVersion, kind and metadata at its top, or take it out"
        }
        _ => "mend it there: kubectl cannot read it either",
    };
    let problem =
        Problem::error("YAML").found(error).expected("a manifest in YAML or JSON").next(next);
    Diagnostic {
        level: Level::Unreadable,
        file: file.to_owned(),
        line: Some(line),
        subject: None,
        message: Message::Problem(problem),
    }
}
