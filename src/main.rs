//! Parse the arguments, run.

use linkerd_failover::cli::Cli;
use std::process::ExitCode;

fn main() -> ExitCode {
    // Before anything can ask for a crypto provider; a second installation cannot happen here.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    Cli::run_process()
}
