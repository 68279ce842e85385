//! Running a program in the root of the workspace.

use anyhow::Result;
use std::ffi::OsStr;
use std::path::Path;
use std::process::Command;

/// What it printed on standard output, without the end of the last line; an error if it failed.
pub(crate) fn run(
    program: &Path,
    args: impl IntoIterator<Item = impl AsRef<OsStr>>,
) -> Result<String> {
    let mut command = Command::new(program);
    let output = release::command::run(command.args(args).current_dir(release::workspace_root()))?;
    Ok(String::from_utf8_lossy(&output).trim().to_owned())
}
