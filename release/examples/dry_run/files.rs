//! The executable, the SBOM, and the archive of this platform with its checksums.

use crate::command::run;
use crate::list::List;
use anyhow::{Result, bail, ensure};
use flate2::read::GzDecoder;
use release::platform::Platform;
use release::version::VERSION;
use release::{PROGRAM, archive, checksum, program, sbom};
use std::fs::File;
use std::path::{Path, PathBuf};
use test_cluster::target_dir;

/// The program as cargo has built it. It runs, and needs nothing that the base image lacks.
pub(crate) fn executable(profile: &str, list: &mut List) -> Result<PathBuf> {
    let folder = if profile == "dev" { "debug" } else { profile };
    let path = target_dir().join(folder).join(PROGRAM);
    runs(&path)?;
    let needs = program::needs(&path)?;
    needs.check_base()?;
    list.file(&path)?;
    list.seen("executable", format!("built with the profile {profile}; --version says {VERSION}"));
    let (major, minor) = needs.glibc;
    list.seen(
        "executable",
        format!(
            "needs glibc {major}.{minor} and {}: no more than Debian 13 has, which the base is made from",
            needs.libraries.join(", ")
        ),
    );
    Ok(path)
}

/// Whether it is this program, of this version.
pub(crate) fn runs(executable: &Path) -> Result<()> {
    let found = run(executable, ["--version"])?;
    let expected = format!("{PROGRAM} {VERSION}");
    ensure!(found == expected, "{} --version: found {found:?}", executable.display());
    Ok(())
}

pub(crate) fn sbom(cyclonedx: &Path, dist: &Path, list: &mut List) -> Result<()> {
    let path = sbom::write(cyclonedx, dist)?;
    let components = sbom::components(&std::fs::read_to_string(&path)?)?;
    list.file(&path)?;
    list.seen("SBOM", format!("{components} components"));
    Ok(())
}

/// Makes the archive, then takes it for what a user does: verifies the sums, unpacks it, runs it.
pub(crate) fn archive(
    here: Platform,
    executable: &Path,
    dist: &Path,
    list: &mut List,
) -> Result<()> {
    let documents = archive::documents(executable)?;
    let path = archive::write(here, executable, &documents, archive::time_of_commit(), dist)?;
    let sums = checksum::write(dist)?;
    list.file(&path)?;
    list.file(&sums)?;

    let script = format!("cd '{}' && sha256sum --check --strict SHA256SUMS", dist.display());
    let checked = run(Path::new("sh"), ["-c", &script])?;
    list.seen("checksums", format!("sha256sum verifies {} files", checked.lines().count()));

    let unpacked = tempfile::tempdir()?;
    tar::Archive::new(GzDecoder::new(File::open(&path)?)).unpack(unpacked.path())?;
    let folder = unpacked.path().join(archive::name(here).replace(".tar.gz", ""));
    runs(&folder.join(PROGRAM))?;
    for file in ["LICENSE", "completions", "man/man1/linkerd-failover.1"] {
        ensure!(folder.join(file).exists(), "the archive has no {file}");
    }
    let pages = std::fs::read_dir(folder.join("man/man1"))?.count();
    let shells = std::fs::read_dir(folder.join("completions"))?.count();
    list.seen(
        "archive",
        format!(
            "unpacked, it runs; LICENSE, completions for {shells} shells, {pages} manual pages"
        ),
    );
    Ok(())
}

/// Takes one file out of a tar file.
pub(crate) fn take_out(tar: &Path, file: &str, to: &Path) -> Result<()> {
    let mut archive = tar::Archive::new(File::open(tar)?);
    for entry in archive.entries()? {
        let mut entry = entry?;
        let is_it = *entry.path()? == *Path::new(file);
        if is_it {
            entry.unpack(to)?;
            return Ok(());
        }
    }
    bail!("{} has no {file}", tar.display())
}
