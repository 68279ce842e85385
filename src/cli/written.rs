//! What people see of a write: warnings and denials as kubectl has them, and one line for what was written.

use crate::cli::failure::Failure;
use crate::interventions::write::{WriteError, Written};
use std::process::ExitCode;

/// The values of `--dry-run`, as kubectl has them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum DryRun {
    /// Write
    #[default]
    None,
    /// Show what would be written
    Client,
    /// Let the API server, and its webhooks, look at it, and store nothing
    Server,
}

impl DryRun {
    /// What stands behind the line of what was written.
    pub(super) fn suffix(self) -> &'static str {
        match self {
            Self::None => "",
            Self::Client => " (dry run)",
            Self::Server => " (server dry run)",
        }
    }
}

/// Prints how a write of `shown` ended.
pub(super) fn report<K>(
    shown: &str,
    done: &str,
    dry_run: DryRun,
    result: Result<Written<K>, WriteError>,
) -> anyhow::Result<ExitCode> {
    let suffix = dry_run.suffix();
    match result {
        Ok(Written { object, warnings }) => {
            warn(&warnings);
            let done = if object.is_some() { done } else { "unchanged" };
            println!("{shown} {done}{suffix}");
            Ok(ExitCode::SUCCESS)
        }
        Err(error) => fail(shown, error),
    }
}

/// Prints a denial as kubectl does; anything else is a failure of one line.
pub(super) fn fail(shown: &str, error: WriteError) -> anyhow::Result<ExitCode> {
    if let WriteError::Failed(_, warnings) = &error {
        warn(warnings);
    }
    if let Some(denial) = error.denial() {
        eprintln!("Error from server ({}): {}", denial.reason, denial.message);
        return Ok(ExitCode::FAILURE);
    }
    Err(failure(shown, error).into())
}

pub(super) fn warn(warnings: &[String]) {
    for warning in warnings {
        eprintln!("Warning: {warning}");
    }
}

pub(super) fn failure(shown: &str, error: WriteError) -> Failure {
    match error {
        WriteError::Failed(error, _) => Failure::of_request(shown, &error),
        WriteError::Gone => Failure::of(shown, "no such object any more").expected("one"),
        WriteError::Conflicts => Failure::of(shown, "a newer version each time")
            .expected("one that nobody else writes meanwhile")
            .next("see who does: kubectl get … -o yaml --show-managed-fields; then try again"),
    }
}
