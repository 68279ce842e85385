//! The command line: arguments and commands, nothing else.

// These macros panic where nobody reads any more, as after `head`: `output` prints.
#![deny(clippy::print_stdout, clippy::print_stderr)]

mod admission;
mod alerts;
mod by_hand;
mod certificates;
mod check;
mod completion;
mod controller;
mod deployment;
mod drill;
mod explain;
mod failure;
mod guard;
mod install;
mod intervene;
mod kubernetes;
mod lenient;
mod looker;
mod man;
mod migrate;
mod notifications;
mod object_name;
mod output;
mod plan;
mod profiles;
mod release;
mod session;
mod status;
mod status_watch;
mod validate;
mod values;
mod written;

#[cfg(test)]
mod reference_tests;

use crate::kinds::one_line::one_line;
use clap::{CommandFactory, Parser, Subcommand};
use std::process::ExitCode;

/// Failover for Linkerd: keeps a Service alive by sending its traffic to a backup.
#[derive(Debug, Parser)]
#[command(name = "linkerd-failover", version)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the admission webhook and the controller
    Controller(Box<controller::Args>),
    // The descriptions of the others stand at their arguments.
    Check(Box<check::Args>),
    Migrate(migrate::Args),
    Validate(Box<validate::Args>),
    Completion(completion::Args),
    Man(man::Args),
    Status(Box<status::Args>),
    Explain(Box<explain::Args>),
    Plan(Box<plan::Args>),
    #[command(flatten)]
    ByHand(by_hand::ByHand),
}

impl Cli {
    /// Reads the arguments of the process, and runs the command to its end. Of arguments that cannot be read
    /// the reason is printed, and the exit code is 2.
    pub fn run_process() -> ExitCode {
        let arguments: Vec<_> = std::env::args_os().collect();
        let wants_json = check::wants_json(&arguments);
        match Self::try_parse_from(check::known(arguments)) {
            Ok(cli) => cli.run(),
            // Linkerd takes whatever else stands there for a failure of the mesh.
            Err(error) if wants_json && error.use_stderr() => check::print_unreadable(&error),
            Err(error) => error.exit(),
        }
    }

    /// Runs the command to its end; where it fails, the reason is one line on standard error.
    fn run(self) -> ExitCode {
        self.run_command().unwrap_or_else(|error| {
            output::report_line(&format!("linkerd-failover: {}", one_line(&format!("{error:#}"))));
            failure::exit_code(&error)
        })
    }

    fn run_command(self) -> anyhow::Result<ExitCode> {
        // One: with more, a fan-out is spent on waking threads up (measured: 0.61 ms of CPU a write
        // with two, 0.51 with one), and the API server beside it needs every core there is.
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        match self.command {
            Command::Controller(args) => runtime.block_on(controller::run(*args))?,
            Command::Check(args) => return runtime.block_on(check::run(*args)),
            Command::Migrate(args) => return runtime.block_on(migrate::run(args)),
            Command::Validate(args) => return runtime.block_on(validate::run(*args)),
            Command::Completion(args) => completion::run(&args, Self::command())?,
            Command::Man(args) => man::run(&args, Self::command())?,
            Command::Explain(args) => return runtime.block_on(explain::run(*args)),
            Command::Plan(args) => return runtime.block_on(plan::run(*args)),
            Command::Status(args) => return runtime.block_on(status::run(*args)),
            Command::ByHand(command) => return runtime.block_on(by_hand::run(command)),
        }
        Ok(ExitCode::SUCCESS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_command_of_people_has_an_example() {
        let command = Cli::command();
        // Kubernetes calls the other, as the chart has it.
        let people = command.get_subcommands().filter(|c| c.get_name() != "controller");
        for command in people {
            let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
            let (name, example) =
                (command.get_name(), format!("linkerd-failover {}", command.get_name()));
            assert!(help.contains(&example), "{name} has no example: {help:?}");
        }
    }

    #[test]
    fn every_flag_of_the_contract_is_there_with_its_environment_variable() {
        let command = Cli::command();
        let controller = command.find_subcommand("controller").unwrap();
        for flag in [
            "selector",
            "log-level",
            "log-format",
            "admin-addr",
            "no-per-object-metrics",
            "webhook-addr",
            "no-webhook",
            "no-lease",
            "kubeconfig",
            "context",
            "as",
            "namespace",
            "credentials-namespaces",
            "remote-unreachable-after",
            "webhook-tls-dir",
            "webhook-ca-life",
            "webhook-leaf-life",
            "webhook-ca-settle",
            "tls-min-version",
            "client-ca",
            "manage-service-profiles",
            "cluster-domain",
            "linkerd-namespace",
        ] {
            let argument = controller.get_arguments().find(|a| a.get_long() == Some(flag));
            let argument = argument.unwrap_or_else(|| panic!("--{flag} is missing"));
            let variable = format!("LINKERD_FAILOVER_{}", flag.to_uppercase().replace('-', "_"));
            assert_eq!(argument.get_env().and_then(|e| e.to_str()), Some(variable.as_str()));
        }
    }
}
