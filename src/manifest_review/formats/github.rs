//! Commands for a workflow of GitHub: `::error file=…,line=…::…`.

use super::text;
use crate::manifest_review::diagnostic::{Diagnostic, Level};
use crate::manifest_review::report::Report;

/// A command for each diagnostic; the result, as a line of the log.
pub(super) fn print(report: &Report) -> String {
    let commands = report.diagnostics.iter().map(command);
    commands.chain(text::not_checked(report)).chain([report.summary() + "\n"]).collect()
}

fn command(diagnostic: &Diagnostic) -> String {
    let (name, prefix) = match diagnostic.level {
        Level::Error | Level::Unreadable => ("error", ""),
        Level::Warning => ("warning", ""),
        Level::NotChecked => ("notice", "not checked: "),
        Level::Note => ("notice", ""),
    };
    let subject = diagnostic.subject.as_ref().map(ToString::to_string);
    let title = property(&subject.unwrap_or_else(|| "linkerd-failover".into()));
    let message = data(&format!("{prefix}{}", diagnostic.text()));
    match place(diagnostic) {
        Some(place) => format!("::{name} {place},title={title}::{message}\n"),
        None => format!("::{name} title={title}::{}: {message}\n", data(&diagnostic.place())),
    }
}

/// In the repository; standard input has none.
fn place(diagnostic: &Diagnostic) -> Option<String> {
    let file = diagnostic.file.strip_prefix("./").unwrap_or(&diagnostic.file);
    let line = diagnostic.line.map(|line| format!(",line={line}")).unwrap_or_default();
    (file != "-").then(|| format!("file={}{line}", property(file)))
}

fn data(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_in_a_text_ends_a_command_or_a_property() {
        assert_eq!(property("a,b:c%d\r\ne.yaml"), "a%2Cb%3Ac%25d%0D%0Ae.yaml");
        assert_eq!(data("50%: a, b\n::error::c"), "50%25: a, b%0A::error::c");
    }
}
