//! The commands by which a person changes something.

use crate::cli::{drill, install, intervene, release};
use clap::Subcommand;
use std::process::ExitCode;

#[derive(Debug, Subcommand)]
pub(super) enum ByHand {
    // Their descriptions stand at their arguments, but for those that have these in common.
    Pin(Box<intervene::PinArgs>),
    /// Let health decide again
    #[command(after_help = "Example:
  linkerd-failover unpin trafficsplit/emoji -n emojivoto")]
    Unpin(Box<intervene::ObjectArgs>),
    Pause(Box<intervene::PauseArgs>),
    /// Write to an object again
    #[command(after_help = "Example:
  linkerd-failover resume trafficsplit/emoji -n emojivoto")]
    Resume(Box<intervene::ObjectArgs>),
    Failback(Box<intervene::FailbackArgs>),
    Freeze(Box<intervene::FreezeArgs>),
    /// Write again in the whole cluster
    #[command(after_help = "Example:
  linkerd-failover unfreeze")]
    Unfreeze(Box<intervene::ClusterWideArgs>),
    Drill(Box<drill::Args>),
    Install(install::Args),
    Release(Box<release::Args>),
    Uninstall(Box<release::UninstallArgs>),
}

pub(super) async fn run(command: ByHand) -> anyhow::Result<ExitCode> {
    match command {
        ByHand::Pin(args) => intervene::pin(*args).await,
        ByHand::Unpin(args) => intervene::unpin(*args).await,
        ByHand::Pause(args) => intervene::pause(*args).await,
        ByHand::Resume(args) => intervene::resume(*args).await,
        ByHand::Failback(args) => intervene::failback(*args).await,
        ByHand::Freeze(args) => intervene::freeze(*args).await,
        ByHand::Unfreeze(args) => intervene::unfreeze(*args).await,
        ByHand::Drill(args) => drill::run(*args).await,
        ByHand::Install(args) => install::run(&args),
        ByHand::Release(args) => release::run(*args).await,
        ByHand::Uninstall(args) => release::uninstall(*args).await,
    }
}
