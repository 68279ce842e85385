//! `linkerd-failover validate`: arguments, input and output.

use crate::cli::admission::{DefaultsArgs, RulesArgs};
use crate::cli::failure::Failure;
use crate::cli::kubernetes::ClusterArgs;
use crate::cli::output;
use crate::cli::session::{self, Session};
use crate::engine::annotations;
use crate::kinds::selector::LabelSelector;
use crate::manifest_review::formats::Format;
use crate::manifest_review::input::Input;
use crate::manifest_review::known_world::KnownWorld;
use crate::manifest_review::review::review;
use crate::manifest_review::settings::ReviewSettings;
use crate::manifests::files::{self, Unread};
use crate::snapshot::{Area, Settings};
use std::collections::BTreeSet;
use std::process::ExitCode;

/// Say what the admission webhook would say to manifests, without a cluster
///
/// Each TrafficSplit, HTTPRoute and GRPCRoute that the selector matches is defaulted and validated as the
/// webhook does it, beside the Services, Namespaces, ServiceProfiles and ReferenceGrants of the input. The
/// declarations on Services and on clusters' Secrets are judged too. All other documents are skipped. What only
/// a cluster knows is reported as not checked, unless --live asks one. Nothing is written to it.
///
/// The exit code is 0, 1 where the webhook would refuse an object, and 2 where something cannot be read.
#[derive(Debug, clap::Args)]
#[command(
    verbatim_doc_comment,
    after_help = "Examples:
  linkerd-failover validate -f deploy/
  helm template . | linkerd-failover validate -f -
  linkerd-failover validate -f split.yaml -f services.yaml --strict -o github
  linkerd-failover validate -f split.yaml --live"
)]
pub(super) struct Args {
    /// File of manifests, YAML or JSON, or a directory of them and all below; - is standard input. May be given
    /// several times
    #[arg(long = "filename", short = 'f', value_name = "FILE", required_unless_present = "more")]
    files: Vec<String>,
    /// More of them
    #[arg(value_name = "FILE")]
    more: Vec<String>,
    /// Format of the output
    #[arg(long, short, value_enum, default_value_t)]
    output: FormatValue,
    /// Take warnings for faults
    #[arg(long)]
    strict: bool,
    /// Namespace of what names none [default: default; with --live that of the context]
    #[arg(long, short)]
    namespace: Option<String>,
    /// Ask the cluster for what the input does not have, and for the settings of the installation
    #[arg(long)]
    live: bool,
    #[command(flatten)]
    cluster: ClusterArgs,
    /// Deployment of linkerd-failover, where there are several
    #[arg(long, value_name = "[NAMESPACE/]NAME", requires = "live")]
    installation: Option<String>,
    #[command(flatten)]
    webhook: WebhookArgs,
}

/// The settings of the webhook that a verdict depends on.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Settings of the installation, without --live")]
struct WebhookArgs {
    /// Label selector of managed objects
    #[arg(long, short = 'l', env = "LINKERD_FAILOVER_SELECTOR", default_value = annotations::CONTROLLED_BY)]
    selector: LabelSelector,
    #[command(flatten)]
    rules: RulesArgs,
    #[command(flatten)]
    defaults: DefaultsArgs,
}

/// The values of `--output`.
#[derive(Clone, Copy, Debug, Default, clap::ValueEnum)]
enum FormatValue {
    /// A line for each fault
    #[default]
    Text,
    /// One object, for programs
    Json,
    /// Commands for a workflow of GitHub
    Github,
}

impl From<FormatValue> for Format {
    fn from(value: FormatValue) -> Self {
        match value {
            FormatValue::Text => Self::Text,
            FormatValue::Json => Self::Json,
            FormatValue::Github => Self::GitHub,
        }
    }
}

/// Reads, judges and prints.
pub(super) async fn run(args: Args) -> anyhow::Result<ExitCode> {
    let (world, settings) = match args.live {
        // Without the cluster that is to be asked nothing is judged: 1 would be a verdict.
        true => ask_cluster(&args).await.map_err(Failure::unreadable)?,
        false => (KnownWorld::empty(), args.webhook.settings(args.namespace.as_deref())),
    };
    let input = read(args.files.iter().chain(&args.more), &settings.namespace);
    let report = review(input, world, &settings);
    let report = if args.strict { report.strictly() } else { report };
    output::print(&report.print(args.output.into()))?;
    Ok(ExitCode::from(report.outcome().exit_code()))
}

/// What the cluster has, and the settings of its installation.
async fn ask_cluster(args: &Args) -> Result<(KnownWorld, ReviewSettings), Failure> {
    let (client, default) = session::connect(args.cluster.clone()).await?;
    let installed = session::find(&client, args.installation.as_deref()).await?;
    let session = Session { client, area: Area::All, installed };
    let snapshot = session.snapshot().await?;
    let gaps = snapshot.gaps.iter().map(ToString::to_string).collect();
    let Settings { watch, rules, .. } = session.installed.settings;
    let settings = ReviewSettings {
        selector: watch.selector,
        rules: rules.unwrap_or_default(),
        defaults: watch.defaults,
        namespace: args.namespace.clone().unwrap_or(default),
    };
    Ok((KnownWorld::of_cluster(snapshot.index, snapshot.now, gaps), settings))
}

/// A file that is named twice is read once, as is standard input.
fn read<'a>(arguments: impl Iterator<Item = &'a String>, namespace: &str) -> Input {
    let (mut input, mut seen) = (Input::new(namespace), BTreeSet::new());
    for found in arguments.flat_map(|argument| files::named_by(argument)) {
        let path = found.as_ref().unwrap_or_else(|unread| &unread.path);
        if !seen.insert(path.canonicalize().unwrap_or_else(|_| path.clone())) {
            continue;
        }
        match files::content_of(found) {
            Ok((path, content)) => input.add(&path.to_string_lossy(), &content),
            Err(Unread { path, problem }) => {
                input.add_unreadable(&path.to_string_lossy(), *problem);
            }
        }
    }
    input
}

impl WebhookArgs {
    fn settings(&self, namespace: Option<&str>) -> ReviewSettings {
        ReviewSettings {
            selector: self.selector.clone(),
            rules: self.rules.clone().options(),
            defaults: self.defaults.defaults(),
            namespace: namespace.unwrap_or("default").to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::cli::Cli;
    use clap::Parser;
    use serde_json::Value;
    use std::fs;
    use std::path::Path;

    fn repository(path: &str) -> String {
        fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap()
    }

    /// Every call of the command in a text, as its arguments.
    fn calls(text: &str) -> Vec<Vec<&str>> {
        let calls = text.match_indices("linkerd-failover validate -f").map(|(at, _)| {
            let line = text[at..].lines().next().unwrap();
            line.split(['`', '|']).next().unwrap().split_whitespace().collect()
        });
        calls.collect()
    }

    #[test]
    fn every_example_of_the_documentation_can_be_run() {
        let page = repository("docs/validate.md");
        let examples = calls(&page);
        assert!(examples.len() > 4, "{examples:?}");
        for example in examples {
            let read = Cli::try_parse_from(&example);
            assert!(read.is_ok(), "{example:?}: {}", read.unwrap_err());
        }
    }

    #[test]
    fn the_hook_of_the_documentation_is_that_of_the_repository() {
        let read = |text: &str| serde_saphyr::from_str::<Value>(text).unwrap();
        let page = repository("docs/validate.md");
        let example = page.split("```yaml\n").find(|block| block.starts_with("repos:")).unwrap();
        let example = read(example.split("```").next().unwrap());
        let documented = &example["repos"][0]["hooks"][0];
        let hook = &read(&repository(".pre-commit-hooks.yaml"))[0];
        for key in ["id", "name", "entry", "language", "types_or", "require_serial"] {
            assert!(!hook[key].is_null() && hook[key] == documented[key], "{key}");
        }
        // pre-commit adds the arguments and the names of the files.
        for rest in [["a.yaml", "b.json"], ["-f", "deploy/"]] {
            let arguments = hook["entry"].as_str().unwrap().split(' ').chain(rest);
            assert!(Cli::try_parse_from(arguments).is_ok(), "{rest:?}");
        }
    }
}
