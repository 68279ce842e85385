//! Where the documentation is.

use anyhow::{Context, Result};
use std::path::{Path, PathBuf};

/// The folder of the book.
pub const BOOK: &str = "docs";
/// Its table of contents.
pub const SUMMARY: &str = "docs/SUMMARY.md";

/// Pages outside the book whose blocks are run.
const BESIDE_THE_BOOK: [&str; 3] =
    ["CONTRIBUTING.md", "README.md", "charts/linkerd-failover/README.md"];

/// The repository's root.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Every page whose blocks are run, from the root.
pub fn pages(root: &Path) -> Result<Vec<String>> {
    let mut pages: Vec<String> = BESIDE_THE_BOOK.map(str::to_owned).to_vec();
    let folder = root.join(BOOK);
    let entries = std::fs::read_dir(&folder).with_context(|| folder.display().to_string())?;
    for entry in entries {
        let name = entry?.file_name().to_string_lossy().into_owned();
        let path = format!("{BOOK}/{name}");
        if name.ends_with(".md") && path != SUMMARY {
            pages.push(path);
        }
    }
    pages.sort();
    Ok(pages)
}

/// Every file below a folder, or the file itself, from the root.
///
/// # Errors
///
/// A folder cannot be read.
pub fn files(root: &Path, path: &str) -> Result<Vec<String>> {
    if !root.join(path).is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let entries = std::fs::read_dir(root.join(path)).with_context(|| path.to_owned())?;
    let mut found = vec![];
    for entry in entries {
        let name = entry?.file_name();
        found.extend(files(root, &format!("{path}/{}", name.to_string_lossy()))?);
    }
    found.sort();
    Ok(found)
}

/// The text of a file, from the root.
pub fn read(root: &Path, path: &str) -> Result<String> {
    std::fs::read_to_string(root.join(path)).with_context(|| format!("cannot read {path}"))
}
