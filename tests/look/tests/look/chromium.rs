//! Chromium, where there is one.

use std::io::Write;
use std::path::PathBuf;

/// The browser; says so where there is none.
pub(crate) fn found(what: &str) -> Option<PathBuf> {
    let program = look::chromium();
    if program.is_none() {
        skipped(what, "no Chromium on PATH (Debian's package `chromium`), nor in $CHROMIUM");
    }
    program
}

/// Says so past libtest, which keeps what a test that passes prints.
pub(crate) fn skipped(what: &str, why: &str) {
    say(&format!("skipped: {what}: {why}"));
}

/// A line that is seen also where the test passes.
pub(crate) fn say(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}
