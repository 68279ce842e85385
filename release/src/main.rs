//! The steps of a release that are more than a command: `.github/workflows/release.yaml` calls them.

use anyhow::{Context, ensure};
use clap::{Parser, Subcommand};
use release::platform::{ALL, Platform};
use release::{archive, changelog, chart, checksum, sbom, version, workflows};
use std::path::{Path, PathBuf};

/// Makes the parts of a release
#[derive(Debug, Parser)]
#[command(name = "release", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// See that all places name one version, and that workflows are pinned; print the version
    Check {
        /// Tag of the commit, such as v0.2.0
        #[arg(long)]
        tag: Option<String>,
    },
    /// Print the changelog's part of this version
    Notes,
    /// Write an archive for each platform, from executables in folders such as linux-amd64/
    Archives {
        /// Folder with a folder for each platform, and the executable in it
        executables: PathBuf,
        /// Folder to write into
        to: PathBuf,
    },
    /// Package the chart, with the annotations of this version
    Chart {
        /// Folder to write into
        to: PathBuf,
        /// Helm's executable
        #[arg(long, default_value = "helm")]
        helm: PathBuf,
    },
    /// Write the SBOM
    Sbom {
        /// Folder to write into
        to: PathBuf,
        /// The executable of cargo-cyclonedx
        #[arg(long, default_value = "cargo-cyclonedx")]
        cyclonedx: PathBuf,
    },
    /// Write SHA256SUMS for all files of a folder
    Checksums {
        /// The folder
        folder: PathBuf,
    },
}

fn main() -> anyhow::Result<()> {
    match Cli::parse().command {
        Command::Check { tag } => {
            version::check(tag.as_deref())?;
            let faults = workflows::check()?;
            ensure!(faults.is_empty(), "{}", faults.join("\n"));
            println!("{}", version::VERSION);
        }
        Command::Notes => {
            let part = changelog::part(&release::text("CHANGELOG.md")?, version::VERSION)?;
            println!("{}", part.text);
        }
        Command::Archives { executables, to } => archives(&executables, &to)?,
        Command::Chart { to, helm } => {
            std::fs::create_dir_all(&to)?;
            println!("{}", chart::package(&helm, &to)?.display());
        }
        Command::Sbom { to, cyclonedx } => {
            std::fs::create_dir_all(&to)?;
            println!("{}", sbom::write(&cyclonedx, &to)?.display());
        }
        Command::Checksums { folder } => println!("{}", checksum::write(&folder)?.display()),
    }
    Ok(())
}

fn archives(executables: &Path, to: &Path) -> anyhow::Result<()> {
    let path = |platform: Platform| executables.join(platform.to_string()).join(release::PROGRAM);
    for platform in ALL {
        ensure!(path(platform).is_file(), "there is no {}", path(platform).display());
    }
    let here = Platform::here().context("a release has no executable that runs on this machine")?;
    let documents = archive::documents(&path(here))?;
    std::fs::create_dir_all(to)?;
    for platform in ALL {
        let seconds = archive::time_of_commit();
        let made = archive::write(platform, &path(platform), &documents, seconds, to)?;
        println!("{}", made.display());
    }
    Ok(())
}
