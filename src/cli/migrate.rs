//! `linkerd-failover migrate`: arguments, input and output.

use crate::cli::kubernetes::ClusterArgs;
use crate::cli::values::RouteKindValue;
use crate::manifests::documents::{self, Document};
use crate::migrate::migrate;
use crate::migrate::ports::ServicePortLookup;
use anyhow::Context;
use std::io::{Read, Write};

/// Print the routes of the Gateway API that do what TrafficSplits do
///
/// A route has the name, the backends and the author's weights of its split. Nothing is written to
/// a cluster.
///
/// A route names a port, and a split does not: it is that of the Service which clients call, looked
/// up in the input, then in the cluster. A Service with several ports gets a route for each.
///
/// What cannot be read or migrated is reported on standard error, with its place, and makes the command
/// fail; the rest is printed all the same. Each route has a comment with the steps to take, in order.
#[derive(Debug, clap::Args)]
#[command(
    verbatim_doc_comment,
    after_help = "Examples:
  linkerd-failover migrate -f split.yaml | kubectl apply -f -
  kubectl get trafficsplits.split.smi-spec.io -A -o yaml | linkerd-failover migrate -f - > routes.yaml"
)]
pub(super) struct Args {
    /// File of manifests, YAML or JSON; - is standard input. May be given several times
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

/// Reads, prints, and fails if anything could not be migrated.
pub(super) async fn run(args: Args) -> anyhow::Result<()> {
    let mut input = vec![];
    for path in &args.files {
        input.extend(match read(path) {
            Ok(bytes) => documents::read(path, &bytes),
            Err(error) => vec![Document::unreadable(path.clone(), error)],
        });
    }
    let ports = ServicePortLookup::new(&args.ports, Some(args.cluster.into()));
    let output = migrate(input, args.kind.into(), args.namespace.as_deref(), ports).await?;
    for line in &output.messages {
        eprintln!("{line}");
    }
    let written = std::io::stdout().write_all(output.yaml.as_bytes());
    written.context("cannot write to standard output")?;
    output.result()
}

fn read(path: &str) -> std::io::Result<Vec<u8>> {
    if path != "-" {
        return std::fs::read(path);
    }
    let mut bytes = vec![];
    std::io::stdin().read_to_end(&mut bytes)?;
    Ok(bytes)
}
