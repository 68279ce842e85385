//! Tools that apply the author's manifest again and again, in the middle of a failover.

use crate::support::*;
use anyhow::{Result, ensure};
use futures::{StreamExt, TryStreamExt};
use kube::Api;
use kube::api::{WatchEvent, WatchParams};
use kube::core::DynamicObject;
use serde_json::Value;
use std::time::{Duration, Instant};
use test_cluster::Workload;

const FOR: Duration = Duration::from_secs(30);
const ENOUGH: u32 = 20;
const EVERY: Duration = Duration::from_millis(100);
/// kubectl reads an object before it replaces it: a record of ours may come between, a few times.
const CONFLICTS: u32 = 5;

/// The commands, each with a split of its own.
const COMMANDS: [(&str, &[&str]); 3] = [
    ("applied", &["apply", "-f", "-"]),
    ("forced", &["apply", "--server-side", "--force-conflicts", "-f", "-"]),
    ("replaced", &["replace", "-f", "-"]),
];

/// Three splits, failed over.
async fn failed_over(workload: &Workload<'_>, splits: &Api<DynamicObject>) -> Result<()> {
    for (name, _) in COMMANDS {
        workload.kubectl(["create", "-f", "-"]).stdin(named(name)).ok().await?;
    }
    workload.scale("emoji", 0).await?;
    for (name, _) in COMMANDS {
        wait_weights(splits, name, &[0.0, 1.0]).await?;
    }
    Ok(())
}

/// Repeats a command every 100 ms for 30 s, and on a busy machine until it has run often enough. Returns
/// how often it has.
async fn repeat(workload: &Workload<'_>, name: &str, command: &[&str]) -> Result<u32> {
    let mut ticks = tokio::time::interval(EVERY);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
    let (end, mut ran, mut conflicts) = (Instant::now() + FOR, 0, 0);
    while Instant::now() < end || ran < ENOUGH {
        ticks.tick().await;
        let output = workload.kubectl(command.iter().copied()).stdin(named(name)).output().await?;
        let met = !output.status.success() && output.stderr.contains("object has been modified");
        conflicts += u32::from(met);
        ran += u32::from(!met);
        let goes_on = output.status.success() || (met && conflicts <= CONFLICTS);
        ensure!(goes_on, "{name}: refused after {ran}: {}", output.stderr);
    }
    Ok(ran)
}

/// Ends with the first weight that is seen on the primary.
async fn weight_on_the_primary(splits: &Api<DynamicObject>) -> Result<String> {
    let list = splits.list(&Default::default()).await?;
    let mut version = list.metadata.resource_version.unwrap_or_default();
    loop {
        let mut events = splits.watch(&WatchParams::default(), &version).await?.boxed();
        while let Some(event) = events.try_next().await? {
            if let WatchEvent::Added(split) | WatchEvent::Modified(split) = event {
                if weights(&split)[0] != 0.0 {
                    return Ok(format!("{:?} of {:?}", weights(&split), split.metadata.name));
                }
                version = split.metadata.resource_version.unwrap_or_default();
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_manifest_applied_ten_times_a_second_never_puts_weight_on_a_dead_primary() -> Result<()> {
    let cluster = cluster().await?;
    let _installation = install(&cluster, 2, &[]).await?;
    let (workload, _west) = emojivoto(&cluster).await?;
    let splits = splits(&cluster, "emojivoto");
    failed_over(&workload, &splits).await?;

    let repeating = futures::future::try_join_all(
        COMMANDS.map(|(name, command)| repeat(&workload, name, command)),
    );
    let outcome = tokio::select! {
        outcome = repeating => outcome?,
        seen = weight_on_the_primary(&splits) => anyhow::bail!("weight on the primary: {}", seen?),
    };
    for ((name, _), ran) in COMMANDS.iter().zip(outcome) {
        eprintln!("{name}: {ran} times");
    }
    // The author's weights are still known.
    workload.scale("emoji", 1).await?;
    for (name, _) in COMMANDS {
        wait_weights(&splits, name, &[1.0, 0.0]).await?;
    }
    Ok(())
}

/// With the mutating webhook away, which may be ignored, the validating one refuses what would undo
/// the failover.
#[tokio::test(flavor = "multi_thread")]
async fn with_only_the_mutating_webhook_away_the_manifest_is_refused_rather_than_believed()
-> Result<()> {
    let cluster = cluster().await?;
    let _installation = install(&cluster, 1, &[]).await?;
    let (workload, _west) = emojivoto(&cluster).await?;
    let splits = splits(&cluster, "emojivoto");
    failed_over(&workload, &splits).await?;
    let away = ["delete", "mutatingwebhookconfiguration", "linkerd-failover"];
    cluster.kubectl(away).ok().await?;
    for (name, command) in COMMANDS {
        let what = format!("{name} is refused");
        // The API server takes a moment to see that a webhook has gone.
        test_cluster::eventually(&what, PATIENCE, || async {
            let output =
                workload.kubectl(command.iter().copied()).stdin(named(name)).output().await?;
            ensure!(
                output.stderr.contains("expected 0 while traffic is on emoji-svc-west"),
                "{}",
                output.stderr
            );
            Ok(())
        })
        .await?;
        assert_eq!(weights(&splits.get(name).await?), [0.0, 1.0]);
    }
    Ok(())
}

/// What a tool compares: everything but what every write changes.
fn compared(mut object: Value) -> Value {
    for field in ["managedFields", "resourceVersion", "generation"] {
        if let Some(metadata) = object["metadata"].as_object_mut() {
            metadata.remove(field);
        }
    }
    object
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_side_dry_run_of_the_manifest_shows_no_difference_while_failed_over() -> Result<()>
{
    let cluster = cluster().await?;
    let _installation = install(&cluster, 1, &[]).await?;
    let (workload, _west) = emojivoto(&cluster).await?;
    let splits = splits(&cluster, "emojivoto");
    // As each tool began: with its own kind of apply.
    let tools: [(&str, &[&str]); 3] = [
        ("kubectl", &["apply", "-f", "-"]),
        ("argocd", &["apply", "--server-side", "--field-manager=argocd-controller", "-f", "-"]),
        (
            "flux",
            &[
                "apply",
                "--server-side",
                "--force-conflicts",
                "--field-manager=kustomize-controller",
                "-f",
                "-",
            ],
        ),
    ];
    for (name, command) in tools {
        workload.kubectl(command.iter().copied()).stdin(named(name)).ok().await?;
    }
    workload.scale("emoji", 0).await?;
    for (name, command) in tools {
        wait_weights(&splits, name, &[0.0, 1.0]).await?;
        // Without force it meets our claim until that is given up, off the hot path.
        let what = format!("{name} sees no difference");
        test_cluster::eventually(&what, PATIENCE, || async {
            let dry = command.iter().copied().chain(["--dry-run=server", "-o", "json"]);
            let predicted = workload.kubectl(dry).stdin(named(name)).ok().await?;
            let predicted = compared(serde_json::from_str(&predicted)?);
            let live = compared(serde_json::to_value(splits.get(name).await?)?);
            ensure!(predicted == live, "{predicted}\n{live}");
            Ok(())
        })
        .await?;
    }
    Ok(())
}
