//! The list of everything that the program is compiled from (CycloneDX), by `cargo-cyclonedx`.

use crate::archive;
use crate::command::run;
use crate::version::VERSION;
use anyhow::{Context, ensure};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Its name among the files of a release.
pub fn name() -> String {
    format!("{}-{VERSION}.cdx.json", crate::PROGRAM)
}

/// Writes it into the folder, for the dependencies of all platforms. `cargo-cyclonedx` writes a file beside the
/// manifest of each member, so it works on a copy of the tracked files.
pub fn write(cargo_cyclonedx: &Path, to: &Path) -> anyhow::Result<PathBuf> {
    let folder = tempfile::tempdir()?;
    copy_tracked(folder.path())?;
    // It runs in a copy of the sources, where a relative path leads nowhere; a bare name is looked for on PATH.
    let program = match cargo_cyclonedx.components().count() {
        1 => cargo_cyclonedx.to_owned(),
        _ => std::path::absolute(cargo_cyclonedx)?,
    };
    let mut command = Command::new(program);
    command
        .args(["cyclonedx", "--format", "json", "--spec-version", "1.5", "--target", "all"])
        .args(["--override-filename", "sbom", "--quiet"])
        // Its time, so that one commit gives one list.
        .env("SOURCE_DATE_EPOCH", archive::time_of_commit().to_string())
        .current_dir(folder.path());
    run(&mut command)?;
    let text = std::fs::read_to_string(folder.path().join("sbom.json"))
        .context("cargo cyclonedx wrote no sbom.json")?
        // Packages of the workspace are named by their folders, and this one is gone after it.
        .replace(&folder.path().display().to_string(), "/src");
    components(&text)?;
    let path = to.join(name());
    std::fs::write(&path, text)?;
    Ok(path)
}

/// How many components it lists. An error if it is not of this program and version.
pub fn components(text: &str) -> anyhow::Result<usize> {
    let sbom: Value = serde_json::from_str(text)?;
    let of = &sbom["metadata"]["component"];
    ensure!(
        sbom["bomFormat"] == "CycloneDX"
            && of["name"] == crate::PROGRAM
            && of["version"] == VERSION,
        "the SBOM is of {} {}, expected {} {VERSION}",
        of["name"],
        of["version"],
        crate::PROGRAM
    );
    let components = sbom["components"].as_array().map_or(0, Vec::len);
    ensure!(components > 0, "the SBOM lists nothing");
    Ok(components)
}

fn copy_tracked(to: &Path) -> anyhow::Result<()> {
    let root = crate::workspace_root();
    let output = Command::new("git").args(["ls-files", "-z"]).current_dir(&root).output()?;
    ensure!(output.status.success(), "git ls-files failed: this is no checkout");
    for file in String::from_utf8(output.stdout)?.split_terminator('\0') {
        let copy = to.join(file);
        std::fs::create_dir_all(copy.parent().context("a file in no folder")?)?;
        // One that is deleted and not committed yet is no part of what is built.
        if root.join(file).is_file() {
            std::fs::copy(root.join(file), copy)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_sbom_of_something_else_or_of_nothing_is_refused() {
        let with = |name: &str, list: &str| {
            let component = format!(r#"{{"name": "{name}", "version": "{VERSION}"}}"#);
            components(&format!(
                r#"{{"bomFormat": "CycloneDX", "metadata": {{"component": {component}}}, "components": {list}}}"#
            ))
        };
        assert_eq!(with(crate::PROGRAM, "[{}, {}]").unwrap(), 2);
        assert!(with("release", "[{}]").unwrap_err().to_string().contains("release"));
        assert!(with(crate::PROGRAM, "[]").unwrap_err().to_string().contains("lists nothing"));
    }
}
