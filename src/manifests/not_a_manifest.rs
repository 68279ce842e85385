//! Why a document is not a manifest, with its line in the entire input.

use crate::engine::Problem;
use serde_saphyr::UserMessageFormatter;

/// Why a document is not a manifest.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NotAManifest {
    /// A file that cannot be read at all.
    #[error("{}", .0.message())]
    File(Problem),
    /// The line is that of the input, from 1.
    #[error("line {line}, which is no text in UTF-8 or UTF-16 (save the file as one of them)")]
    NotText { line: usize },
    #[error("{0}, which is no object")]
    NotAnObject(&'static str),
    #[error("a List whose items are no list")]
    WithoutItems,
    #[error("a template that is not rendered")]
    Template,
    #[error("no JSON ({})", json_message(error, *lines_before))]
    Json { error: serde_json::Error, lines_before: usize },
    #[error("no YAML ({})", yaml_message(error, *lines_before))]
    Yaml { error: Box<serde_saphyr::Error>, lines_before: usize },
}

impl NotAManifest {
    /// The line of the input, from 1, where it is known.
    pub(crate) fn line(&self) -> Option<usize> {
        match self {
            Self::File(_) | Self::NotAnObject(_) | Self::WithoutItems | Self::Template => None,
            Self::NotText { line } => Some(*line),
            Self::Json { error, lines_before } => Some(lines_before + error.line()),
            Self::Yaml { error, lines_before } => {
                Some(lines_before + usize::try_from(error.location()?.line()).ok()?)
            }
        }
    }
}

fn json_message(error: &serde_json::Error, lines_before: usize) -> String {
    let (line, column) = (error.line(), error.column());
    let text = error.to_string();
    let what = text.strip_suffix(&format!(" at line {line} column {column}")).unwrap_or(&text);
    format!("{what} at line {}, column {column}", lines_before + line)
}

/// For whoever writes manifests: the parser's own message is for programmers.
fn yaml_message(error: &serde_saphyr::Error, lines_before: usize) -> String {
    error.render_with_options(serde_saphyr::render_options! {
        formatter: &UserMessageFormatter,
        line_offset: lines_before as u64,
    })
}
