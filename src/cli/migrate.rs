//! `linkerd-failover migrate`: arguments, input and output.

use crate::cli::failure::Failure;
use crate::cli::kubernetes::ClusterArgs;
use crate::cli::output::{print, report_line};
use crate::cli::values::RouteKindValue;
use crate::manifests::documents::{self, Document};
use crate::manifests::files::{self, Found, Unread};
use crate::migrate::migrate;
use crate::migrate::output::Outcome;
use crate::migrate::ports::ServicePortLookup;
use std::process::ExitCode;

/// Print the routes of the Gateway API that do what TrafficSplits do
///
/// A route has the name, the backends and the author's weights of its split. Nothing is written to
/// a cluster.
///
/// A route names a port, and a split does not: it is that of the Service which clients call, looked
/// up in the input, then in the cluster. A Service with several ports gets a route for each.
///
/// What cannot be read or migrated is reported on standard error, with its place, and makes the command
/// fail: with 2 where something cannot be read, else with 1. The rest is printed all the same. Each route has a comment with the steps to take, in order.
#[derive(Debug, clap::Args)]
#[command(
    verbatim_doc_comment,
    after_help = "Examples:
  linkerd-failover migrate -f split.yaml | kubectl apply -f -
  kubectl get trafficsplits.split.smi-spec.io -A -o yaml | linkerd-failover migrate -f - > routes.yaml"
)]
pub(super) struct Args {
    /// File of manifests, YAML or JSON, or a directory of them and all below; - is standard input. May be given
    /// several times
    #[arg(long = "filename", short = 'f', value_name = "FILE", required = true)]
    files: Vec<String>,
    /// Kind of route to print
    #[arg(long, value_enum, default_value_t, ignore_case = true)]
    kind: RouteKindValue,
    /// Port that clients use, instead of looking it up. May be given several times
    #[arg(long = "port", value_name = "PORT", value_parser = clap::value_parser!(u16).range(1..))]
    ports: Vec<u16>,
    /// Namespace of what names none
    #[arg(long, short)]
    namespace: Option<String>,
    #[command(flatten)]
    cluster: ClusterArgs,
}

/// Reads and prints; fails if anything could not be migrated.
pub(super) async fn run(args: Args) -> anyhow::Result<ExitCode> {
    let input = args.files.iter().flat_map(|argument| files::named_by(argument)).flat_map(read);
    let ports = ServicePortLookup::new(&args.ports, Some(args.cluster.into()));
    let namespace = args.namespace.as_deref();
    let output = migrate(input.collect(), args.kind.into(), namespace, ports).await?;
    for line in &output.messages {
        report_line(line);
    }
    print(&output.yaml)?;
    end(output.outcome())
}

fn read(found: Found) -> Vec<Document> {
    match files::content_of(found) {
        Ok((path, content)) => documents::read(&path.to_string_lossy(), &content),
        Err(Unread { path, problem }) => {
            vec![Document::unreadable(path.to_string_lossy().into_owned(), *problem)]
        }
    }
}

fn end(outcome: Outcome) -> anyhow::Result<ExitCode> {
    match outcome {
        Outcome::Migrated => Ok(ExitCode::SUCCESS),
        Outcome::Nothing => Err(Failure::of("the input", "no TrafficSplit")
            .expected("one at least")
            .next("try `kubectl get trafficsplits.split.smi-spec.io -A -o yaml | linkerd-failover migrate -f -`")
            .into()),
        Outcome::Failed { count, is_unreadable } => {
            // One has its line already.
            if count > 1 {
                report_line(&format!("linkerd-failover: {count} could not be migrated, see above"));
            }
            Ok(ExitCode::from(if is_unreadable { 2 } else { 1 }))
        }
    }
}
