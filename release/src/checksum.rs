//! SHA-256, as `sha256sum` and registries write it.

use anyhow::Context;
use aws_lc_rs::digest;
use std::path::{Path, PathBuf};

/// The file that lists the sums of a release.
pub const FILE: &str = "SHA256SUMS";

/// The sum in hexadecimal digits.
pub fn sha256(bytes: &[u8]) -> String {
    let sum = digest::digest(&digest::SHA256, bytes);
    sum.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The sum of a file.
pub fn of_file(path: &Path) -> anyhow::Result<String> {
    let bytes = std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    Ok(sha256(&bytes))
}

/// Writes the sums of all files of a folder into `SHA256SUMS` there, for `sha256sum --check`.
pub fn write(folder: &Path) -> anyhow::Result<PathBuf> {
    let mut lines = vec![];
    for entry in std::fs::read_dir(folder)? {
        let (path, name) = entry.map(|entry| (entry.path(), entry.file_name()))?;
        let name = name.to_string_lossy().into_owned();
        if path.is_file() && !name.starts_with(FILE) {
            lines.push((name, of_file(&path)?));
        }
    }
    anyhow::ensure!(!lines.is_empty(), "{}: no file to sum up", folder.display());
    lines.sort();
    let text: String = lines.iter().map(|(name, sum)| format!("{sum}  {name}\n")).collect();
    let path = folder.join(FILE);
    std::fs::write(&path, text)?;
    Ok(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sums_are_listed_as_sha256sum_reads_them() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("b"), "").unwrap();
        std::fs::write(folder.path().join("a"), "abc").unwrap();
        // Made again, it does not list itself.
        write(folder.path()).unwrap();
        let text = std::fs::read_to_string(write(folder.path()).unwrap()).unwrap();
        assert_eq!(
            text,
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad  a\n\
             e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855  b\n"
        );
    }
}
