//! Standard output: all of a result at once, or nothing of it.

use crate::checks::report::Colour;
use crate::kinds::one_line::one_line;
use anyhow::Context;
use std::io::{ErrorKind, IsTerminal, Write, stderr, stdout};

/// Prints a whole result. A reader that has gone, as `head` does, is no failure.
pub(super) fn print(text: &str) -> anyhow::Result<()> {
    let mut out = stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        other => other.context("cannot write to standard output"),
    }
}

/// Colour on a terminal that has some, and not where `NO_COLOR` is set to anything.
pub(super) fn colour() -> Colour {
    let is_unwanted = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    match is_drawn_on() && !is_unwanted {
        true => Colour::Terminal,
        false => Colour::None,
    }
}

/// Whether standard output is a terminal that obeys escape sequences.
pub(super) fn is_drawn_on() -> bool {
    let is_dumb = std::env::var_os("TERM").is_some_and(|value| value == "dumb");
    stdout().is_terminal() && !is_dumb
}

/// Prints a line. Where nobody reads any more, because a pipe or a terminal has closed, the command goes on: what it
/// has begun must come to its end.
pub(super) fn print_line(line: &str) {
    let _ = writeln!(stdout(), "{}", shown(line));
}

/// The same, on standard error.
pub(super) fn report_line(line: &str) {
    let _ = writeln!(stderr(), "{}", shown(line));
}

/// Without control characters, whatever is quoted in it; a denial has a line for each cause.
fn shown(text: &str) -> String {
    text.split('\n').map(one_line).collect::<Vec<_>>().join("\n")
}
