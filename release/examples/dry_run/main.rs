//! `make release-dry-run`: makes what a release is made of on this machine, pushes image and chart to a registry on
//! loopback, pulls them again and installs them on the test cluster. It ends with a list of what was made, what was
//! seen, and what could not be made here. Any fault ends it with an error, after the list of what came before.

mod chart;
mod command;
mod files;
mod image;
mod list;
mod registry;

use anyhow::{Context, Result, ensure};
use clap::Parser;
use command::run;
use list::List;
use registry::Registry;
use release::platform::{ALL, Platform};
use release::{version, workflows};
use std::path::PathBuf;
use std::process::ExitCode;

/// Makes the parts of a release, and tries them
#[derive(Debug, Parser)]
struct Cli {
    /// Profile by which cargo has built the program
    #[arg(long)]
    profile: String,
    /// actionlint's executable
    #[arg(long)]
    actionlint: PathBuf,
    /// crane's executable
    #[arg(long)]
    crane: PathBuf,
    /// cargo-cyclonedx' executable
    #[arg(long)]
    cyclonedx: PathBuf,
}

#[tokio::main]
async fn main() -> ExitCode {
    let mut list = List::default();
    let outcome = dry_run(&Cli::parse(), &mut list).await;
    print!("\n{list}");
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("\nrelease-dry-run: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn dry_run(cli: &Cli, list: &mut List) -> Result<()> {
    let here = Platform::here().filter(|platform| platform.has_image());
    let here = here.context("this machine is of no platform that a release has an image for")?;
    not_made(here, list)?;

    run(&cli.actionlint, ["-shellcheck=", "-pyflakes="])?;
    let faults = workflows::check()?;
    ensure!(faults.is_empty(), "{}", faults.join("\n"));
    list.seen("workflows", "actionlint is content; actions are pinned; jobs write what they need");
    version::check(None)?;
    list.seen("version", format!("{} everywhere", version::VERSION));

    let folder = test_cluster::target_dir().join("release-dry-run");
    if folder.exists() {
        std::fs::remove_dir_all(&folder)?;
    }
    std::fs::create_dir_all(&folder)?;

    let executable = files::executable(&cli.profile, list)?;
    let dist = folder.join("dist");
    std::fs::create_dir_all(&dist)?;
    files::sbom(&cli.cyclonedx, &dist, list)?;
    files::archive(here, &executable, &dist, list)?;

    let registry = Registry::serve(&cli.crane).await?;
    let image = image::push(&registry, here, &executable, &folder, list)?;
    chart::push_pull_and_install(&registry, &image, &folder, list).await?;
    registry.stop().await
}

/// What needs another machine, or somebody else's service.
fn not_made(here: Platform, list: &mut List) -> Result<()> {
    let others: Vec<String> =
        ALL.into_iter().filter(|one| *one != here).map(|one| one.to_string()).collect();
    list.not_made(
        format!("archives for {}", others.join(", ")),
        "each is built on a machine of its platform, of which GitHub has one",
    );
    for other in ALL.into_iter().filter(|one| one.has_image() && *one != here) {
        list.not_made(format!("image for {other}"), "it is built on a machine of that platform");
    }
    let dockerfile = release::dockerfile::read(&release::text(release::dockerfile::FILE)?)?;
    let base = dockerfile.bases.last().context("no base")?;
    list.not_made(
        format!("the base of the image, {base}"),
        "no registry of images is asked: the layer with the executable stands alone, and the digest is not verified",
    );
    list.not_made(
        "a build by the Dockerfile",
        "it begins with images of that registry; cargo builds the same on this machine",
    );
    list.not_made(
        "signatures, provenance and SBOM attestations",
        "they need the identity that GitHub gives to a workflow, and Sigstore's services",
    );
    list.not_made(
        "the GitHub release, and what is pushed to ghcr.io",
        "the workflow does that for a tag",
    );
    list.not_made(
        "the Pod of helm test",
        "there is no kubelet: its script is run as its ServiceAccount",
    );
    Ok(())
}
