//! `linkerd-failover check`: as a person calls it, and as `linkerd check` does.

use crate::checks::gather::Gathering;
use crate::checks::report::Report;
use crate::checks::table::{CAN_QUERY, INSTALLED};
use crate::cli::failure::Failure;
use crate::cli::kubernetes::ClusterArgs;
use crate::cli::lenient::lenient;
use crate::cli::output::{colour, print, report_line};
use crate::cli::session::{self, Installed};
use crate::snapshot::Area;
use clap::{Args as _, Command, FromArgMatches};
use futures::FutureExt;
use jiff::SignedDuration;
use std::ffi::OsString;
use std::panic::AssertUnwindSafe;
use std::process::ExitCode;
use std::time::{Duration, Instant};

/// Check the installation and everything that fails over
///
/// `linkerd check` runs it too. Flags that it does not know are ignored. Each fault has a link to a page that
/// tells how to mend it. A ‼ is meant so, or not known; a × makes the command fail.
#[derive(Clone, Debug, clap::Args)]
#[command(
    verbatim_doc_comment,
    args_override_self = true,
    after_help = "Examples:
  linkerd-failover check --pre
  linkerd-failover check --wait 10s -o short"
)]
pub(super) struct Args {
    /// Check whether the chart can be installed
    #[arg(long)]
    pre: bool,
    /// How long to wait for replicas that are starting
    #[arg(long, value_name = "DURATION", default_value = "5m0s")]
    wait: SignedDuration,
    /// Format of the result
    #[arg(long, short, value_enum, default_value_t)]
    output: OutputFormat,
    /// Only objects of this namespace [default: of all]
    #[arg(long, short)]
    namespace: Option<String>,
    /// Deployment of linkerd-failover, where there are several
    #[arg(long, value_name = "[NAMESPACE/]NAME")]
    installation: Option<String>,
    #[command(flatten)]
    cluster: ClusterArgs,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
enum OutputFormat {
    #[default]
    Table,
    Short,
    Json,
}

/// How often it is looked again.
const AGAIN: Duration = Duration::from_secs(2);
/// Of one look: what never answers, an API server or a credential plugin, must not hold `linkerd check` up for ever.
const LONGEST: Duration = Duration::from_secs(90);

/// The arguments of the process, without those that `check` does not know. Linkerd's flags are more than ours,
/// and will be others.
pub(super) fn known(arguments: Vec<OsString>) -> Vec<OsString> {
    let is_check = arguments.get(1).is_some_and(|command| command == "check");
    match is_check {
        true => lenient(&Args::augment_args(Command::new("check")), arguments),
        false => arguments,
    }
}

/// Whether the result goes to Linkerd, whatever else is wrong with these arguments.
pub(super) fn wants_json(arguments: &[OsString]) -> bool {
    let is_check = arguments.get(1).is_some_and(|command| command == "check");
    let command = Args::augment_args(Command::new("check")).ignore_errors(true);
    let matches = command.try_get_matches_from(arguments.iter().skip(1));
    let read = matches.and_then(|matches| Args::from_arg_matches(&matches));
    let texts = || arguments.windows(2).any(|two| two[0] == "-o" || two[0] == "--output");
    let named =
        || arguments.iter().any(|a| a == "--output=json" || a == "-ojson" || a == "-o=json");
    let spaced = || texts() && arguments.iter().any(|argument| argument == "json");
    is_check && (read.is_ok_and(|args| args.output == OutputFormat::Json) || named() || spaced())
}

/// The result for arguments that cannot be read.
pub(super) fn print_unreadable(error: &clap::Error) -> ExitCode {
    let why = error.to_string();
    let why = why.lines().next().unwrap_or_default().trim_start_matches("error: ");
    print(
        &Report::failed(("the arguments can be read", "the-arguments-can-be-read"), why).to_json(),
    )
    .map_or(ExitCode::FAILURE, |()| ExitCode::from(2))
}

/// Checks, and prints the result; nothing else is ever printed on standard output.
pub(super) async fn run(args: Args) -> anyhow::Result<ExitCode> {
    let output = args.output;
    // A defect is a result too.
    let checked = AssertUnwindSafe(report(args)).catch_unwind().await;
    let report = checked.unwrap_or_else(|_| {
        Report::failed(CAN_QUERY, "found a defect of this program, which standard error shows")
    });
    let text = match output {
        OutputFormat::Json => report.to_json(),
        OutputFormat::Table | OutputFormat::Short => {
            report.to_table(output == OutputFormat::Short, colour())
        }
    };
    print(&text)?;
    Ok(if report.is_success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Nobody waits for longer than a day.
fn wait(args: &Args) -> Duration {
    args.wait.unsigned_abs().min(Duration::from_secs(24 * 60 * 60))
}

async fn report(args: Args) -> Report {
    let deadline = Instant::now() + wait(&args);
    let (is_json, mut is_reported) = (args.output == OutputFormat::Json, false);
    let wanted = args.installation.clone();
    let mut gathering = match tokio::time::timeout(LONGEST, gathering(args)).await {
        Ok(Ok(gathering)) => gathering,
        Ok(Err(report)) => return *report,
        Err(_) => return unanswered(),
    };
    loop {
        let report = match tokio::time::timeout(LONGEST, gathering.gather()).await {
            Ok(Ok(facts)) => Report::of(&facts, gathering.is_before),
            Ok(Err(error)) => {
                let failure = Failure::of_request("the cluster", &error);
                return Report::failed(CAN_QUERY, &failure.to_string());
            }
            Err(_) => return unanswered(),
        };
        let transient = report.transient().join(", ");
        if transient.is_empty() || Instant::now() + AGAIN >= deadline {
            return report;
        }
        if !std::mem::replace(&mut is_reported, true) && !is_json {
            report_line(&format!("looking again until --wait is over: {transient}"));
        }
        tokio::time::sleep(AGAIN).await;
        // Which replicas are ready is in the Deployment's status.
        let again = session::find(&gathering.client, wanted.as_deref());
        if let Ok(Ok(Installed { deployment: Some(deployment), .. })) =
            tokio::time::timeout(LONGEST, again).await
        {
            gathering.deployment = Some(deployment);
        }
    }
}

fn unanswered() -> Report {
    let why = format!(
        "found no answer within {} s, expected one; see whether `kubectl version` gets one",
        LONGEST.as_secs()
    );
    Report::failed(CAN_QUERY, &why)
}

async fn gathering(args: Args) -> Result<Gathering, Box<Report>> {
    let Args { pre, namespace, installation, cluster, .. } = args;
    let failed = |check, failure: Failure| Box::new(Report::failed(check, &failure.to_string()));
    let (client, _) = session::connect(cluster).await.map_err(|why| failed(CAN_QUERY, why))?;
    let found = session::find(&client, installation.as_deref()).await;
    let Installed { settings, deployment, is_known, gaps } =
        found.map_err(|why| failed(INSTALLED, why))?;
    let area = namespace.map_or(Area::All, Area::Namespace);
    Ok(Gathering {
        client,
        deployment,
        knows_deployment: is_known,
        settings,
        gaps,
        area,
        is_before: pre,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        args: Args,
    }

    fn read(line: &str) -> Args {
        let arguments = line.split(' ').map(OsString::from).collect();
        Line::parse_from(known(arguments).into_iter().skip(1)).args
    }

    #[test]
    fn the_call_of_linkerd_is_read() {
        let args = read(
            "linkerd-failover check --as-group=[] --kubeconfig=/k --linkerd-namespace=linkerd --verbose=false --proxy=false --wait=5m0s --output=json",
        );
        assert_eq!(args.output, OutputFormat::Json);
        assert_eq!(args.wait, SignedDuration::from_mins(5));
        assert!(!args.pre && args.namespace.is_none());
        assert_eq!(
            format!("{:?}", args.cluster),
            format!("{:?}", read("linkerd-failover check --kubeconfig=/k").cluster)
        );
        // Of a flag that is given twice the last one counts, as for kubectl.
        assert_eq!(read("linkerd-failover check --wait=1s --wait=2s").wait.as_secs(), 2);
        let groups = read("linkerd-failover check --as=ana --as-group=[g1,g2] --api-addr=x");
        assert!(format!("{:?}", groups.cluster).contains(r#"["g1", "g2"]"#), "{groups:?}");
    }

    #[test]
    fn what_linkerd_asks_for_is_known_even_of_a_line_that_cannot_be_read() {
        let wants =
            |line: &str| wants_json(&line.split(' ').map(OsString::from).collect::<Vec<_>>());
        assert!(wants("linkerd-failover check --wait=soon --output=json"));
        assert!(wants("linkerd-failover check --wait=soon -o json"));
        assert!(!wants("linkerd-failover check --wait=soon"));
        assert!(!wants("linkerd-failover status --output=json"));
    }
}
