//! Chromium, where there is one.

use std::io::Write;
use std::path::PathBuf;

/// The browser; says so where there is none.
pub(crate) fn found(what: &str) -> Option<PathBuf> {
    let program = look::chromium();
    if program.is_none() {
        let why = "no Chromium on PATH (Debian's package `chromium`), nor in $CHROMIUM";
        say(&format!("skipped: {what}: {why}"));
    }
    program
}

/// A line that is seen also where the test passes: libtest keeps what such a test prints.
pub(crate) fn say(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}
