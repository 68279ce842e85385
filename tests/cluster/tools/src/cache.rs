//! Where built programs are cached: a folder whose name changes with what pins their versions.

use crate::go_module::GoModule;
use crate::paths::scratch;
use anyhow::Context;
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The folder of programs that these modules pin, or `$LINKERD_FAILOVER_TEST_TOOLS`.
pub(crate) fn folder(prefix: &str, modules: &[&str]) -> anyhow::Result<PathBuf> {
    if let Some(folder) = std::env::var_os("LINKERD_FAILOVER_TEST_TOOLS") {
        return Ok(PathBuf::from(folder));
    }
    let mut pins = Vec::new();
    for module in modules {
        pins.extend(GoModule::new(module).pins()?);
    }
    Ok(scratch().join("tools").join(format!("{prefix}{}", hash_of(&pins)?)))
}

/// Makes the folder, and keeps others from building into it until the file is dropped.
pub(crate) fn lock(folder: &Path, name: &str) -> anyhow::Result<File> {
    std::fs::create_dir_all(folder)
        .with_context(|| format!("cannot create {}", folder.display()))?;
    let lock = File::create(folder.join(name))?;
    lock.lock().context("cannot lock the folder of the tools: is it on a network file system?")?;
    Ok(lock)
}

/// What tells one content from another, in a few digits.
fn hash_of(bytes: &[u8]) -> anyhow::Result<String> {
    let hash = sha256(bytes).context("cannot run `sha256sum`, which every Linux has")?;
    hash.get(..16).map(String::from).with_context(|| format!("sha256sum answers {hash:?}"))
}

/// In hexadecimal digits. A crate for it would cost more to compile than all of this one.
fn sha256(bytes: &[u8]) -> anyhow::Result<String> {
    let mut sum = Command::new("sha256sum").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
    // It reads to the end before it answers.
    sum.stdin.take().context("no pipe to write to")?.write_all(bytes)?;
    Ok(String::from_utf8(sum.wait_with_output()?.stdout)?)
}
