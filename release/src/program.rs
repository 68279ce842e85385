//! What an executable needs of the system that it runs on.

use anyhow::{Context, ensure};
use std::path::Path;
use std::process::Command;

/// What the base image `gcr.io/distroless/cc-debian13` has, of what a program in Rust asks for.
const IN_BASE: [&str; 5] =
    ["libc.so.6", "libm.so.6", "libgcc_s.so.1", "ld-linux-x86-64.so.2", "ld-linux-aarch64.so.1"];

/// The glibc of Debian 13, which that image is made from.
const GLIBC_OF_BASE: (u32, u32) = (2, 41);

/// What an executable of Linux needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Needs {
    /// Shared libraries.
    pub libraries: Vec<String>,
    /// The oldest glibc with all symbols that it asks for.
    pub glibc: (u32, u32),
}

/// Reads them with `readelf`, which comes with every C compiler on Linux.
pub fn needs(executable: &Path) -> anyhow::Result<Needs> {
    let output = Command::new("readelf")
        .args(["--wide", "--dynamic", "--version-info"])
        .arg(executable)
        .env("LC_ALL", "C")
        .output()
        .context("cannot run readelf: install binutils, which comes with a C compiler")?;
    ensure!(output.status.success(), "readelf: {}", String::from_utf8_lossy(&output.stderr));
    Ok(read(&String::from_utf8_lossy(&output.stdout)))
}

fn read(text: &str) -> Needs {
    let library = |line: &str| {
        let name = line.split_once("(NEEDED)")?.1.split_once('[')?.1.split_once(']')?.0;
        Some(name.to_owned())
    };
    let version = |part: &str| {
        let (major, rest) = part.split_once('.')?;
        let minor: String = rest.chars().take_while(char::is_ascii_digit).collect();
        Some((major.parse().ok()?, minor.parse().ok()?))
    };
    let mut libraries: Vec<String> = text.lines().filter_map(library).collect();
    libraries.sort();
    let versions = text.split("GLIBC_").skip(1).filter_map(version);
    Needs { libraries, glibc: versions.max().unwrap_or_default() }
}

impl Needs {
    /// Sees that the base image has all of it.
    pub fn check_base(&self) -> anyhow::Result<()> {
        let lacking: Vec<_> =
            self.libraries.iter().filter(|name| !IN_BASE.contains(&name.as_str())).collect();
        ensure!(lacking.is_empty(), "the base image has no {lacking:?}");
        let (major, minor) = self.glibc;
        ensure!(
            self.glibc <= GLIBC_OF_BASE,
            "the base image has an older glibc than {major}.{minor}"
        );
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn libraries_and_the_newest_glibc_are_read() {
        let text = " 0x0000000000000001 (NEEDED)  Shared library: [libgcc_s.so.1]\n\
                    0x0000000000000001 (NEEDED)  Shared library: [libc.so.6]\n\
                    0x0010:   Name: GLIBC_2.9  Flags: none  Version: 4\n\
                    0x0020:   Name: GLIBC_2.34  Flags: none  Version: 3\n  000:   0 (*local*)  2 (GLIBC_2.2.5)\n";
        let needs = read(text);
        assert_eq!(needs.libraries, ["libc.so.6", "libgcc_s.so.1"]);
        assert_eq!(needs.glibc, (2, 34));
        needs.check_base().unwrap();
    }

    #[test]
    fn what_the_base_image_lacks_is_named() {
        let needs = Needs { libraries: vec!["libssl.so.3".into()], glibc: (2, 34) };
        assert!(needs.check_base().unwrap_err().to_string().contains("libssl.so.3"));
        let needs = Needs { libraries: vec![], glibc: (2, 42) };
        assert!(needs.check_base().unwrap_err().to_string().contains("2.42"));
    }
}
