//! `linkerd-failover man`: manual pages, one a command.

use crate::cli::failure::Failure;
use clap::Command;
use std::path::PathBuf;

/// Write the manual pages, one for each command, into a directory
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  linkerd-failover man /usr/local/share/man/man1")]
pub(super) struct Args {
    /// Directory to write them into; it is made where it is not there
    #[arg(value_name = "DIR")]
    directory: PathBuf,
}

pub(super) fn run(args: &Args, command: Command) -> Result<(), Failure> {
    let directory = &args.directory;
    let made = std::fs::create_dir_all(directory);
    let pages = || clap_mangen::generate_to(command.disable_help_subcommand(true), directory);
    made.and_then(|()| pages()).map_err(|error| {
        Failure::of(directory.display(), format!("no directory that can be written ({error})"))
            .expected("one that you may write")
            .next("choose another, such as ./man")
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::Cli;
    use clap::CommandFactory;
    use std::fs;

    #[test]
    fn each_command_has_a_page_with_all_its_flags() {
        let folder = tempfile::tempdir().unwrap();
        let directory = folder.path().join("man1");
        run(&Args { directory: directory.clone() }, Cli::command()).unwrap();
        let whole = fs::read_to_string(directory.join("linkerd-failover.1")).unwrap();
        for command in Cli::command().get_subcommands().filter(|command| !command.is_hide_set()) {
            let name = command.get_name();
            let page = format!("linkerd-failover-{name}.1");
            assert!(whole.contains(&page.replace('-', "\\-").replace(".1", "(1)")), "{name}");
            let page = fs::read_to_string(directory.join(page)).unwrap();
            assert!(page.contains(".TH"), "{name}");
            for flag in command.get_arguments().filter(|argument| !argument.is_hide_set()) {
                let Some(long) = flag.get_long() else { continue };
                let long = long.replace('-', "\\-");
                assert!(page.contains(&long), "{name}: --{long}");
            }
        }
    }

    #[test]
    fn a_directory_that_cannot_be_written_is_one_line_with_the_next_step() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        fs::write(&file, "").unwrap();
        let failure = run(&Args { directory: file.join("man1") }, Cli::command()).unwrap_err();
        let failure = failure.to_string();
        assert!(failure.contains("found no directory that can be written"), "{failure}");
        assert!(failure.contains("; choose another"), "{failure}");
    }
}
