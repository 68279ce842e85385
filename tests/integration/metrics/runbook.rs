//! The commands of the runbook, as somebody who was woken up pastes them.

use crate::support::linked_clusters::{CREDENTIALS, east_and_west, link};
use crate::support::*;
use anyhow::{Context, Result, ensure};
use linkerd_failover::kinds::Kind;
use std::collections::BTreeSet;
use std::path::Path;
use test_cluster::{Cluster, Output};

const RUNBOOK: &str = "docs/runbook.md";

/// What commands need that this cluster lacks: how they begin, and what they answer for it.
const LACKING: &[(&str, &str)] = &[
    // Replicas are local processes here, and no pods.
    ("kubectl -n linkerd-failover logs ", ""),
    ("kubectl get --raw /api/v1/namespaces/linkerd-failover/pods/", "not found"),
    ("kubectl -n linkerd-failover delete pod ", "not found"),
    ("kubectl -n linkerd-failover top pods", "Metrics API not available"),
    ("kubectl -n linkerd-failover describe certificate", "doesn't have a resource type"),
    ("linkerd-failover check", "× its replicas are ready"),
    ("linkerd multicluster ", "not found"),
];

/// How a program says that a command or a flag is none of its own.
const UNKNOWN: &[&str] = &["unknown ", "unexpected argument", "unrecognized subcommand"];

/// What a command changes is not to be changed for the next one.
const CHANGES: &[&str] =
    &[" annotate ", " delete ", " pin ", " unpin ", " resume ", " failback ", " unfreeze"];

/// Every command of a page, once: the lines of its console blocks, and those in its text.
fn commands(page: &str) -> BTreeSet<String> {
    let (mut commands, mut text) = (vec![], String::new());
    for (at, part) in page.split("```").enumerate() {
        match part.strip_prefix("console\n").filter(|_| at % 2 == 1) {
            Some(block) => commands.extend(block.lines().map(str::to_owned)),
            None => text.push_str(part),
        }
    }
    let in_text = text.split('`').skip(1).step_by(2).map(|one| one.replace('\n', " "));
    let is_command = |one: &String| {
        let begins =
            ["kubectl ", "linkerd-failover ", "linkerd "].iter().any(|name| one.starts_with(name));
        begins && !one.contains('…')
    };
    commands.extend(in_text.filter(is_command));
    commands.into_iter().collect()
}

#[test]
fn commands_are_found_in_blocks_and_in_the_text() {
    let page = "# A\n\n```console\nkubectl get x\nlinkerd check\n```\n\n**Do.** `kubectl annotate\ny`, `paused` or `linkerd failover …`.\n";
    let expected = ["kubectl annotate y", "kubectl get x", "linkerd check"];
    assert_eq!(commands(page), expected.map(str::to_owned).into());
}

async fn run(cluster: &Cluster, folder: &Path, command: &str) -> Result<Output> {
    let program = Path::new(PROGRAM).parent().context("the program is in no folder")?;
    let changes = CHANGES.iter().any(|verb| format!("{command} ").contains(verb.trim_end()));
    let dry_run = if changes { " --dry-run=server" } else { "" };
    let command = command.replace("<pod>", "linkerd-failover-0");
    let script =
        format!("cd {}; PATH={}:$PATH; {command}{dry_run}", folder.display(), program.display());
    cluster.sh(&script).output().await
}

#[tokio::test(flavor = "multi_thread")]
async fn every_command_of_the_runbook_works_as_it_stands_there() -> Result<()> {
    let (cluster, west) = east_and_west().await?;
    link(&cluster, &west).await?;
    cluster.install_gateway_api_crds().await?;
    let _installation = install(&cluster, 2, &[CREDENTIALS]).await?;
    let (workload, _west, splits) = emojivoto_with_split(&cluster).await?;
    let route = route(Kind::HttpRoute, &[("", &["emoji-svc", "emoji-svc-west"])]);
    workload.apply(&route.to_string()).await?;
    let folder = tempfile::tempdir()?;
    std::fs::write(folder.path().join("emoji.yaml"), emoji())?;
    // On its fallback, and to stay there: what a person may end.
    let manual = ["annotate", "trafficsplit", "emoji", "failover.linkerd.io/failback=manual"];
    workload.kubectl(manual).ok().await?;
    workload.scale("emoji", 0).await?;
    wait_weights(&splits, "emoji", &[0.0, 1.0]).await?;
    workload.scale("emoji", 1).await?;
    workload.wait_endpoints("emoji-svc", 1).await?;

    let commands = commands(&std::fs::read_to_string(RUNBOOK)?);
    ensure!(commands.len() > 60, "{commands:?}");
    let mut lacking = BTreeSet::new();
    let mut faults = vec![];
    for command in &commands {
        let output = run(&cluster, folder.path(), command).await?;
        let expected = LACKING.iter().find(|(begin, _)| command.starts_with(begin));
        let as_expected = match expected {
            Some((begin, answer)) => {
                lacking.insert(*begin);
                format!("{}{}", output.stdout, output.stderr).contains(answer)
            }
            None => output.status.success(),
        };
        if !as_expected || UNKNOWN.iter().any(|words| output.stderr.contains(words)) {
            faults.push(format!("{command}\n{}{}", output.stdout, output.stderr));
        }
    }
    ensure!(faults.is_empty(), "{}", faults.join("\n"));
    let listed: BTreeSet<&str> = LACKING.iter().map(|(begin, _)| *begin).collect();
    assert_eq!(lacking, listed, "{RUNBOOK} has no such command");
    Ok(())
}
