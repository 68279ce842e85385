//! Running a program to its end.

use anyhow::{Context, ensure};
use std::process::Command;

/// What it printed on standard output. An error has the command, how it ended and what it printed.
pub fn run(command: &mut Command) -> anyhow::Result<Vec<u8>> {
    let output = command
        .output()
        .with_context(|| format!("cannot run {}", command.get_program().display()))?;
    ensure!(
        output.status.success(),
        "{command:?} failed ({}): {}{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr).trim()
    );
    Ok(output.stdout)
}
