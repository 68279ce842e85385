//! `linkerd-failover completion`: the script by which a shell completes commands and flags.

use crate::cli::output;
use clap::Command;
use clap_complete::Shell;

/// Print the script by which a shell completes commands and flags
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  source <(linkerd-failover completion bash)
  linkerd-failover completion zsh > \"${fpath[1]}/_linkerd-failover\"
  linkerd-failover completion fish > ~/.config/fish/completions/linkerd-failover.fish")]
pub(super) struct Args {
    #[arg(value_enum)]
    shell: Shell,
}

pub(super) fn run(args: &Args, command: Command) -> anyhow::Result<()> {
    output::print(&script(args.shell, command))
}

fn script(shell: Shell, command: Command) -> String {
    let name = command.get_name().to_owned();
    match shell {
        Shell::Bash => bash_script(command, &name),
        _ => generated(shell, command, &name),
    }
}

/// clap_complete calls the parts of a script otherwise than it looks them up where the name of the program has
/// a hyphen (clap-rs/clap#6421): only the last lines, which say what is completed, get it.
fn bash_script(command: Command, name: &str) -> String {
    let plain = name.replace('-', "_");
    let named = |line: &str| match line.trim_start().starts_with("complete -F ") {
        true => line.strip_suffix(&plain).map(|start| format!("{start}{name}")),
        false => None,
    };
    let script = generated(Shell::Bash, command, &plain);
    script.lines().map(|line| named(line).unwrap_or_else(|| line.to_owned()) + "\n").collect()
}

fn generated(shell: Shell, mut command: Command, name: &str) -> String {
    let mut script = vec![];
    clap_complete::generate(shell, &mut command, name, &mut script);
    String::from_utf8_lossy(&script).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::Cli;
    use clap::{CommandFactory, ValueEnum};

    #[test]
    fn every_shell_completes_every_command() {
        for shell in Shell::value_variants() {
            let script = script(*shell, Cli::command());
            for command in Cli::command().get_subcommands().filter(|command| !command.is_hide_set())
            {
                assert!(script.contains(command.get_name()), "{shell}: {}", command.get_name());
            }
        }
    }

    #[test]
    fn bash_completes_a_command_and_its_flags_by_the_script() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("script");
        std::fs::write(&file, script(Shell::Bash, Cli::command())).unwrap();
        let completed = |words: &str, last: &str| {
            let of = format!(
                "source {}; COMP_WORDS=({words}); COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1)); \
                 $(complete -p linkerd-failover | sed 's/.*-F \\([^ ]*\\).*/\\1/') linkerd-failover '{last}' ''; \
                 echo \"${{COMPREPLY[@]}}\"",
                file.display()
            );
            let output = std::process::Command::new("bash").args(["-c", &of]).output().unwrap();
            String::from_utf8(output.stdout).unwrap().trim().to_owned()
        };
        assert_eq!(completed("linkerd-failover val", "val"), "validate");
        assert_eq!(completed("linkerd-failover validate --str", "--str"), "--strict");
    }
}
