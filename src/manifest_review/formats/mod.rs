//! The formats in which a report is printed. None of them changes the exit code.

mod github;
mod json;
mod text;

use super::report::Report;

/// A format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    /// A line for each fault, as compilers write them.
    Text,
    /// One object, for programs.
    Json,
    /// Commands for a workflow of GitHub, which shows them beside the lines of a change.
    GitHub,
}

impl Report {
    /// Everything that goes to standard output.
    pub(crate) fn print(&self, format: Format) -> String {
        match format {
            Format::Text => text::print(self),
            Format::Json => json::print(self),
            Format::GitHub => github::print(self),
        }
    }
}
