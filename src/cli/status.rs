//! `linkerd-failover status`.

use crate::cli::failure::Failure;
use crate::cli::looker::{AGAIN, Looker, OutputFormat};
use crate::cli::object_name::ObjectName;
use crate::cli::session::SessionArgs;
use crate::cli::status_watch::watch;
use crate::cli::values::parse_delay;
use crate::kinds::selector::LabelSelector;
use crate::printers::status::goal::Goal;
use crate::printers::status::line::lines;
use jiff::SignedDuration;
use std::process::ExitCode;
use std::time::{Duration, Instant};

/// Show where the traffic of each failover object is, since when, why, and what it waits for
///
/// It decides as the controller does, from the same facts, and works while no replica runs. Nothing is written.
///
/// ON is one of:
///   primary      a primary has the traffic
///   fallback     fallbacks have it
///   held         it stays where it is: nothing is ready, the cluster is frozen, or the brake holds
///   pinned       a person has pinned it
///   paused       a person has paused the object
///   unreadable   the object cannot be read
///
/// READY has ready and total endpoints of each backend, or a word: missing, unknown, unreachable, down.
#[derive(Clone, Debug, clap::Args)]
#[command(
    verbatim_doc_comment,
    after_help = "Examples:
  linkerd-failover status -A
  linkerd-failover status trafficsplit/emoji -n emojivoto -w
  linkerd-failover status trafficsplit/emoji --wait-for fallback --timeout 2m
  linkerd-failover status -A -o json | jq '.[] | select(.status == \"fallback\")'"
)]
pub(super) struct Args {
    /// Only these objects [default: all]
    #[arg(value_name = "KIND/NAME")]
    objects: Vec<String>,
    #[command(flatten)]
    session: SessionArgs,
    /// Only objects with these labels
    #[arg(long, short = 'l')]
    selector: Option<LabelSelector>,
    /// Format of the result
    #[arg(long, short, value_enum, default_value_t)]
    output: OutputFormat,
    /// Go on: on a terminal in place, otherwise with a line for each change
    #[arg(long, short)]
    watch: bool,
    /// Wait until every object is there; `settled`: on something that is ready, with nothing under way
    #[arg(long, value_enum, value_name = "STATE", conflicts_with = "watch")]
    wait_for: Option<GoalValue>,
    /// How long to wait at most
    #[arg(long, value_name = "DURATION", default_value = "30s", value_parser = parse_delay, requires = "wait_for")]
    timeout: SignedDuration,
}

/// The values of `--wait-for`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum GoalValue {
    Primary,
    Fallback,
    Settled,
}

impl From<GoalValue> for Goal {
    fn from(value: GoalValue) -> Self {
        match value {
            GoalValue::Primary => Self::Primary,
            GoalValue::Fallback => Self::Fallback,
            GoalValue::Settled => Self::Settled,
        }
    }
}

/// Shows, watches or waits.
pub(super) async fn run(args: Args) -> anyhow::Result<ExitCode> {
    let names: Result<Vec<_>, _> = args.objects.iter().map(|n| ObjectName::parse(n)).collect();
    let names = names?;
    let session = args.session.connect().await?;
    let objects: Result<Vec<_>, _> = names.iter().map(|name| session.object(name)).collect();
    let looker =
        Looker { session, objects: objects?, selector: args.selector, output: args.output };
    if args.watch {
        return watch(&looker).await;
    }
    match args.wait_for {
        Some(goal) => wait_for(&looker, goal.into(), args.timeout.unsigned_abs()).await,
        None => show(&looker).await,
    }
}

async fn show(looker: &Looker) -> anyhow::Result<ExitCode> {
    let (snapshot, rows) = looker.look(&[]).await?;
    looker.report(&snapshot);
    looker.print(&snapshot, &rows)?;
    Ok(ExitCode::SUCCESS)
}

/// A look that fails is made again until the time is over: the API server may restart.
async fn wait_for(looker: &Looker, goal: Goal, timeout: Duration) -> anyhow::Result<ExitCode> {
    let deadline = Instant::now() + timeout;
    let mut before = vec![];
    let mut failure: Option<Failure> = None;
    loop {
        let began = Instant::now();
        let left = deadline.saturating_duration_since(began);
        match tokio::time::timeout(left.max(AGAIN), looker.look(&before)).await {
            Ok(Ok((snapshot, rows))) => {
                let missed = goal.missed(lines(&rows));
                if missed.is_empty() && !rows.is_empty() {
                    looker.report(&snapshot);
                    looker.print(&snapshot, &rows)?;
                    return Ok(ExitCode::SUCCESS);
                }
                let found = match rows.is_empty() {
                    true => looker.none(&snapshot),
                    false => Goal::shortfall(&missed),
                };
                failure = Some(over(goal, timeout, &found));
                before = rows;
            }
            // No such object, no rights: that does not pass.
            Ok(Err(first)) if failure.is_none() => return Err(first.into()),
            Ok(Err(other)) => failure = Some(other),
            // What was found before tells more.
            Err(_) => _ = failure.get_or_insert_with(|| no_answer(goal)),
        }
        let pause = AGAIN.max(began.elapsed());
        let left = deadline.saturating_duration_since(Instant::now());
        match failure.take_if(|_| left.is_zero()) {
            Some(failure) => return Err(failure.into()),
            None => tokio::time::sleep(pause.min(left)).await,
        }
    }
}

fn over(goal: Goal, timeout: Duration, found: &str) -> Failure {
    Failure::of(format!("waited {}", seconds(timeout)), found)
        .expected(goal.expected())
        .next("`linkerd-failover explain KIND/NAME` tells what it waits for")
}

fn no_answer(goal: Goal) -> Failure {
    Failure::of("the cluster", "no answer in time")
        .expected(goal.expected())
        .next("see whether `kubectl version` gets one")
}

fn seconds(timeout: Duration) -> String {
    format!("{} s", timeout.as_secs())
}
