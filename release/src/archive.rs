//! The archives of the command line: the executable, the licence, completions and manual pages.

use crate::PROGRAM;
use crate::command::run;
use crate::platform::Platform;
use crate::version::VERSION;
use anyhow::{Context, ensure};
use flate2::{Compression, GzBuilder};
use std::path::{Path, PathBuf};
use std::process::Command;
use tar::{Builder, EntryType, Header};

/// A file of an archive.
pub struct Entry {
    /// Its path in the archive.
    pub path: String,
    /// What it holds.
    pub content: Vec<u8>,
    /// Whether it can be run.
    pub executable: bool,
}

/// The files beside the executable, which are the same on every platform: the executable itself writes the
/// completions and the manual pages.
pub fn documents(executable: &Path) -> anyhow::Result<Vec<Entry>> {
    let mut entries = vec![];
    let mut add = |path: String, content| entries.push(Entry { path, content, executable: false });
    add("LICENSE".into(), crate::text("LICENSE")?.into_bytes());
    for (shell, file) in [
        ("bash", format!("{PROGRAM}.bash")),
        ("zsh", format!("_{PROGRAM}")),
        ("fish", format!("{PROGRAM}.fish")),
    ] {
        add(
            format!("completions/{file}"),
            run(Command::new(executable).args(["completion", shell]))?,
        );
    }
    let folder = tempfile::tempdir()?;
    run(Command::new(executable).arg("man").arg(folder.path()))?;
    let mut pages: Vec<PathBuf> = vec![];
    for page in std::fs::read_dir(folder.path())? {
        pages.push(page?.path());
    }
    pages.sort();
    ensure!(!pages.is_empty(), "{} man: wrote no page", executable.display());
    for page in pages {
        let name = page.file_name().unwrap_or_default().to_string_lossy().into_owned();
        add(format!("man/man1/{name}"), std::fs::read(&page)?);
    }
    Ok(entries)
}

/// The name of a platform's archive.
pub fn name(platform: Platform) -> String {
    format!("{PROGRAM}-{VERSION}-{platform}.tar.gz")
}

/// Writes a platform's archive into the folder. Its files are in one folder, and have the time `seconds`, so
/// that one commit gives one archive.
pub fn write(
    platform: Platform,
    executable: &Path,
    documents: &[Entry],
    seconds: u64,
    to: &Path,
) -> anyhow::Result<PathBuf> {
    let path = to.join(name(platform));
    let file =
        std::fs::File::create(&path).with_context(|| format!("cannot write {}", path.display()))?;
    // Without a time of its own.
    let gzip = GzBuilder::new().mtime(0).write(file, Compression::best());
    let folder = format!("{PROGRAM}-{VERSION}-{platform}");
    let content = std::fs::read(executable)
        .with_context(|| format!("cannot read {}", executable.display()))?;
    let mut tar = Builder::new(gzip);
    append(&mut tar, &format!("{folder}/{PROGRAM}"), &content, true, seconds)?;
    for entry in documents {
        let path = format!("{folder}/{}", entry.path);
        append(&mut tar, &path, &entry.content, entry.executable, seconds)?;
    }
    tar.into_inner()?.finish()?;
    Ok(path)
}

/// Writes a tar file, as the layer of an image is one.
pub fn layer(entries: &[Entry], seconds: u64, to: &Path) -> anyhow::Result<()> {
    let mut tar = Builder::new(std::fs::File::create(to)?);
    for entry in entries {
        append(&mut tar, &entry.path, &entry.content, entry.executable, seconds)?;
    }
    tar.into_inner()?.sync_all()?;
    Ok(())
}

/// The time of the commit, in seconds since 1970; 0 where this is no checkout.
pub fn time_of_commit() -> u64 {
    let mut git = Command::new("git");
    git.args(["log", "-1", "--format=%ct"]).current_dir(crate::workspace_root());
    let output = git.output().ok().filter(|output| output.status.success());
    output.and_then(|o| String::from_utf8_lossy(&o.stdout).trim().parse().ok()).unwrap_or(0)
}

fn append<W: std::io::Write>(
    tar: &mut Builder<W>,
    path: &str,
    content: &[u8],
    executable: bool,
    seconds: u64,
) -> anyhow::Result<()> {
    let mut header = Header::new_gnu();
    header.set_entry_type(EntryType::Regular);
    header.set_size(content.len() as u64);
    header.set_mode(if executable { 0o755 } else { 0o644 });
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(seconds);
    tar.append_data(&mut header, path, content)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checksum::of_file;
    use crate::platform::ALL;
    use flate2::read::GzDecoder;

    #[test]
    fn an_archive_has_one_folder_with_everything_and_is_the_same_when_made_again() {
        let folder = tempfile::tempdir().unwrap();
        let executable = folder.path().join("program");
        std::fs::write(&executable, "ELF").unwrap();
        let licence =
            Entry { path: "LICENSE".into(), content: b"text".to_vec(), executable: false };
        let documents = [licence];
        let make = || write(ALL[0], &executable, &documents, 1_700_000_000, folder.path()).unwrap();
        let path = make();
        let first = of_file(&path).unwrap();
        assert_eq!(of_file(&make()).unwrap(), first);

        let mut archive = tar::Archive::new(GzDecoder::new(std::fs::File::open(path).unwrap()));
        let entries = archive.entries().unwrap().map(|entry| {
            let entry = entry.unwrap();
            let path = entry.path().unwrap().display().to_string();
            format!("{path} {:o}", entry.header().mode().unwrap())
        });
        let in_folder = format!("{PROGRAM}-{VERSION}-linux-amd64");
        assert_eq!(
            entries.collect::<Vec<_>>(),
            [format!("{in_folder}/{PROGRAM} 755"), format!("{in_folder}/LICENSE 644")]
        );
    }
}
