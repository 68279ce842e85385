//! `docs/cli.md`, made from the definitions of the command line. `UPDATE_DOCS=1` writes it again.

use crate::cli::Cli;
use clap::{Arg, ArgAction, Command, CommandFactory};
use std::fmt::Write as _;

const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/cli.md");
const WIDTH: usize = 120;

const HEAD: &str = "# Command line

<!-- Made from the definitions of the command line by a unit test: UPDATE_DOCS=1 cargo test --lib reference -->

Every command, argument and flag of `linkerd-failover`, with its environment variable and its default. The same is printed by
`linkerd-failover COMMAND --help`. As `linkerd failover COMMAND` it is the same program, where both are on the `PATH`.

Exit codes: 0 where the command has done what it says, 1 where something failed, 2 where arguments or input cannot be read. The
reason is one line on standard error. A flag wins over its environment variable.
";

/// Where a command is shown at work.
const PAGES: &[(&str, &str)] = &[
    ("check", "[Checks](checks.md)"),
    ("migrate", "[Migrate](migration.md#from-trafficsplit-to-routes)"),
    ("validate", "[Validate manifests](validate.md)"),
    ("status", "[Status](status.md)"),
    ("explain", "[Status](status.md#explain)"),
    ("plan", "[Status](status.md#plan)"),
    ("pin", "[By hand](by-hand.md)"),
    ("unpin", "[By hand](by-hand.md)"),
    ("pause", "[By hand](by-hand.md)"),
    ("resume", "[By hand](by-hand.md)"),
    ("failback", "[By hand](by-hand.md)"),
    ("freeze", "[By hand](by-hand.md)"),
    ("unfreeze", "[By hand](by-hand.md)"),
    ("drill", "[Drills](by-hand.md#drills)"),
    ("install", "[By hand](by-hand.md#install)"),
    ("release", "[By hand](by-hand.md#release)"),
    ("uninstall", "[By hand](by-hand.md#uninstall)"),
    (
        "controller",
        "the chart's [values](../charts/linkerd-failover/README.md#values), which set these flags",
    ),
];

/// The page as the definitions have it.
fn page() -> String {
    let mut cli = Cli::command();
    cli.build();
    let commands: Vec<&Command> = cli
        .get_subcommands()
        .filter(|command| !command.is_hide_set() && command.get_name() != "help")
        .collect();
    let mut page = format!("{HEAD}\n| command | |\n|---|---|\n");
    for command in &commands {
        let name = command.get_name();
        let about = command.get_about().map(ToString::to_string).unwrap_or_default();
        let _ = writeln!(page, "| [`{name}`](#{name}) | {} |", cell(&about));
    }
    for command in commands {
        page += &section(command);
    }
    page
}

fn section(command: &Command) -> String {
    let name = command.get_name();
    let mut section = format!("\n## {name}\n\n");
    let about = command.get_long_about().or(command.get_about());
    for paragraph in about.map(ToString::to_string).unwrap_or_default().split("\n\n") {
        section += &match paragraph.lines().any(|line| line.starts_with(' ')) {
            true => format!("```text\n{paragraph}\n```\n\n"),
            false => {
                let text = paragraph.split_whitespace().collect::<Vec<_>>().join(" ");
                let end = if text.ends_with('.') { "" } else { "." };
                format!("{}\n\n", wrapped(&escaped(&format!("{text}{end}"))))
            }
        };
    }
    if let Some((_, page)) = PAGES.iter().find(|(of, _)| *of == name) {
        let _ = write!(section, "See {page}.\n\n");
    }
    let usage = command.clone().render_usage().to_string();
    let _ = write!(section, "```text\n{}\n```\n", usage.trim_start_matches("Usage: ").trim());
    // In the order in which help has them: without a heading first.
    let mut headings: Vec<Option<&str>> = vec![];
    let shown = |arg: &&Arg| !arg.is_hide_set() && arg.get_id() != "help";
    for arg in command.get_arguments().filter(shown) {
        if !headings.contains(&arg.get_help_heading()) {
            headings.push(arg.get_help_heading());
        }
    }
    headings.sort_by_key(Option::is_some);
    for heading in headings {
        if let Some(heading) = heading {
            let _ = write!(section, "\n{heading}:\n");
        }
        section += "\n| flag | default | meaning |\n|---|---|---|\n";
        let of_heading = |arg: &&Arg| arg.get_help_heading() == heading;
        for arg in command.get_arguments().filter(shown).filter(of_heading) {
            section += &row(arg);
        }
    }
    section
}

fn row(arg: &Arg) -> String {
    let takes_value = matches!(arg.get_action(), ArgAction::Set | ArgAction::Append);
    let value = match arg.get_value_names() {
        Some(names) => names.join(" "),
        None => arg.get_id().to_string().to_uppercase(),
    };
    let flag = match (arg.get_short(), arg.get_long()) {
        (_, None) => format!("`{value}`"),
        (short, Some(long)) => {
            let short = short.map(|short| format!("`-{short}`, ")).unwrap_or_default();
            let value = if takes_value { format!(" {value}") } else { String::new() };
            format!("{short}`--{long}{value}`")
        }
    };
    let defaults: Vec<_> =
        arg.get_default_values().iter().map(|value| value.to_string_lossy()).collect();
    let default = match takes_value && !defaults.is_empty() {
        true => format!("`{}`", defaults.join(" ")),
        false => String::new(),
    };
    let help = arg.get_long_help().or(arg.get_help()).map(ToString::to_string).unwrap_or_default();
    let mut meaning = cell(&help);
    let values: Vec<String> = arg
        .get_possible_values()
        .iter()
        .filter(|value| takes_value && !value.is_hide_set())
        .map(|value| match value.get_help() {
            Some(help) => format!("`{}` ({})", value.get_name(), cell(&help.to_string())),
            None => format!("`{}`", value.get_name()),
        })
        .collect();
    if !values.is_empty() {
        let _ = write!(meaning, ". One of {}", values.join(", "));
    }
    if let Some(variable) = arg.get_env() {
        let _ = write!(meaning, ". Environment: `{}`", variable.to_string_lossy());
    }
    let meaning = meaning.trim_start_matches(". ");
    format!("| {flag} | {default} | {meaning} |\n")
}

/// A text within one cell of a table.
fn cell(text: &str) -> String {
    escaped(&text.split_whitespace().collect::<Vec<_>>().join(" ")).replace('|', "\\|")
}

/// A text in which nothing is taken for HTML.
fn escaped(text: &str) -> String {
    text.replace('<', "&lt;")
}

fn wrapped(text: &str) -> String {
    let mut lines = vec![String::new()];
    for word in text.split(' ') {
        let line = lines.last().map(String::len).unwrap_or_default();
        if line > 0 && line + word.len() >= WIDTH {
            lines.push(String::new());
        }
        if let Some(line) = lines.last_mut() {
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(word);
        }
    }
    lines.join("\n")
}

#[test]
fn the_page_of_the_command_line_is_what_its_definitions_say() {
    let wanted = page();
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(PAGE, &wanted).unwrap();
    }
    let kept = std::fs::read_to_string(PAGE).unwrap_or_default();
    let differs = kept.lines().zip(wanted.lines()).find(|(kept, wanted)| kept != wanted);
    assert_eq!(differs, None, "docs/cli.md has drifted; UPDATE_DOCS=1 writes it again");
    assert_eq!(kept.lines().count(), wanted.lines().count(), "docs/cli.md has other lines");
}

#[test]
fn every_page_that_a_command_is_shown_on_is_of_a_command() {
    let cli = Cli::command();
    for (command, _) in PAGES {
        assert!(cli.find_subcommand(command).is_some(), "{command}");
    }
}
