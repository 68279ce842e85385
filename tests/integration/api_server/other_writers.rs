//! Others write too: who applies, who refuses, who undoes.

use crate::support::*;
use anyhow::{Result, ensure};
use kube::Api;
use kube::api::{Patch, PatchParams};
use kube::core::DynamicObject;
use serde_json::json;
use std::path::Path;
use std::time::Duration;
use test_cluster::{Installation, eventually};

/// Waits until our claim on `spec`, and our predecessor's, is gone from the field owners.
async fn wait_disclaimed(splits: &Api<DynamicObject>, name: &str) -> Result<DynamicObject> {
    eventually("our claim on spec is given up", PATIENCE, || async {
        let split = splits.get(name).await?;
        let owners = split.metadata.managed_fields.clone().unwrap_or_default();
        let claims = owners.iter().any(|owner| {
            owner.manager.as_deref().is_some_and(|name| name.contains("failover"))
                && owner.fields_v1.as_ref().is_some_and(|f| f.0.get("f:spec").is_some())
        });
        ensure!(!claims, "{owners:?}");
        Ok::<_, anyhow::Error>(split)
    })
    .await
}

/// A chart with a split in it, as users have.
fn chart_with_a_split(folder: &Path) -> Result<()> {
    std::fs::create_dir_all(folder.join("templates"))?;
    std::fs::write(folder.join("Chart.yaml"), "apiVersion: v2\nname: app\nversion: 1.0.0\n")?;
    let split = emoji().replace("  labels:", "  labels:\n    round: '{{ .Values.round }}'");
    std::fs::write(folder.join("templates/split.yaml"), split)?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn helm_and_server_side_apply_without_force_work_in_the_middle_of_a_failover() -> Result<()> {
    let cluster = cluster().await?;
    let _installation = install(&cluster, 1, &[]).await?;
    let (workload, _west) = emojivoto(&cluster).await?;
    let splits = splits(&cluster, "emojivoto");
    let chart = tempfile::tempdir()?;
    chart_with_a_split(chart.path())?;
    let path = chart.path().display().to_string();
    let release = |command: &[&str], round: &str| {
        let mut arguments: Vec<String> = command.iter().map(|s| (*s).to_owned()).collect();
        arguments.extend([
            "-n".into(),
            "emojivoto".into(),
            "--set".into(),
            format!("round={round}"),
        ]);
        arguments
    };
    cluster.helm(release(&["install", "app", &path], "one")).ok().await?;
    let other = named("other");
    let server_side = ["apply", "--server-side", "-f", "-"];
    workload.kubectl(server_side).stdin(&other).ok().await?;

    workload.scale("emoji", 0).await?;
    for name in ["emoji", "other"] {
        wait_weights(&splits, name, &[0.0, 1.0]).await?;
        wait_disclaimed(&splits, name).await?;
    }
    cluster.helm(release(&["upgrade", "app", &path], "two")).ok().await?;
    let split = splits.get("emoji").await?;
    assert_eq!(split.metadata.labels.as_ref().unwrap()["round"], "two");
    assert_eq!(weights(&split), [0.0, 1.0]);
    cluster.helm(["rollback", "app", "1", "-n", "emojivoto"]).ok().await?;
    workload.kubectl(server_side).stdin(&other).ok().await?;
    for name in ["emoji", "other"] {
        assert_eq!(weights(&splits.get(name).await?), [0.0, 1.0], "{name}");
    }

    workload.scale("emoji", 1).await?;
    for name in ["emoji", "other"] {
        wait_weights(&splits, name, &[1.0, 0.0]).await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_server_side_apply_of_a_split_that_was_flipped_meets_no_conflict() -> Result<()> {
    let cluster = cluster().await?;
    let _installation = install(&cluster, 1, &[]).await?;
    let (workload, _west) = emojivoto(&cluster).await?;
    // Client-side until now; and made by a script.
    workload.apply(&emoji()).await?;
    let other = named("other");
    workload.kubectl(["create", "-f", "-"]).stdin(&other).ok().await?;
    workload.scale("emoji", 0).await?;
    let splits = splits(&cluster, "emojivoto");
    for (name, split) in [("emoji", emoji()), ("other", other)] {
        wait_weights(&splits, name, &[0.0, 1.0]).await?;
        wait_disclaimed(&splits, name).await?;
        workload.kubectl(["apply", "--server-side", "-f", "-"]).stdin(split).ok().await?;
        assert_eq!(weights(&splits.get(name).await?), [0.0, 1.0], "{name}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_predecessor_left_in_mid_failover_can_be_applied_server_side() -> Result<()> {
    let cluster = cluster().await?;
    let (workload, _west) = emojivoto(&cluster).await?;
    let server_side = ["apply", "--server-side", "-f", "-"];
    workload.kubectl(server_side).stdin(emoji()).ok().await?;
    workload.scale("emoji", 0).await?;
    workload.wait_endpoints("emoji-svc", 0).await?;
    let splits = splits(&cluster, "emojivoto");
    // As 0.1 flips.
    let flip = json!({"spec": {"backends": [
        {"service": "emoji-svc", "weight": 0}, {"service": "emoji-svc-west", "weight": 1},
    ]}});
    let manager = Some("failover.linkerd.io".to_owned());
    let params = PatchParams { field_manager: manager, ..PatchParams::default() };
    splits.patch("emoji", &params, &Patch::Merge(&flip)).await?;
    let refused = workload.kubectl(server_side).stdin(emoji()).output().await?;
    ensure!(refused.stderr.contains("failover.linkerd.io"), "{}", refused.stderr);

    let _installation = install(&cluster, 1, &[]).await?;
    wait_disclaimed(&splits, "emoji").await?;
    workload.kubectl(server_side).stdin(emoji()).ok().await?;
    assert_eq!(weights(&splits.get("emoji").await?), [0.0, 1.0]);
    workload.scale("emoji", 1).await?;
    wait_weights(&splits, "emoji", &[1.0, 0.0]).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn who_keeps_undoing_our_weights_is_named_and_answered_ever_more_slowly() -> Result<()> {
    let cluster = cluster().await?;
    // The cluster's admin bypasses the webhook here, as a GitOps tool may.
    let me = cluster.kubectl(["auth", "whoami", "-o", "jsonpath={.status.userInfo.username}"]);
    let exempt = format!("webhook.exemptUsers[0]={}", me.ok().await?.trim());
    let installation = Installation::install(&cluster, options(1, &[&exempt])).await?;
    installation.wait_ready(PATIENCE).await?;
    let (workload, _west) = emojivoto(&cluster).await?;
    workload.apply(&emoji()).await?;
    let splits = splits(&cluster, "emojivoto");
    workload.scale("emoji", 0).await?;
    wait_weights(&splits, "emoji", &[0.0, 1.0]).await?;

    // It undoes whatever it sees, at once, for as long as it takes to be named.
    let undo = json!({"spec": {"backends": [
        {"service": "emoji-svc", "weight": 1}, {"service": "emoji-svc-west", "weight": 0},
    ]}});
    let undoing = {
        let splits = splits.clone();
        tokio::spawn(async move {
            let params = PatchParams::apply("argocd-controller");
            let params =
                PatchParams { field_manager: params.field_manager, ..PatchParams::default() };
            let mut undone = 0_u32;
            loop {
                if splits.get("emoji").await.is_ok_and(|split| weights(&split) == [0.0, 1.0]) {
                    undone += u32::from(
                        splits.patch("emoji", &params, &Patch::Merge(&undo)).await.is_ok(),
                    );
                }
                if undone >= 4 {
                    return undone;
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        })
    };
    let note = wait_event(&workload, "emoji", "WeightsUndone", "Warning").await?;
    assert!(note.contains("by field manager argocd-controller"), "{note}");
    let undone = tokio::time::timeout(PATIENCE, undoing).await??;
    let metrics = installation.replicas()[0].get("/metrics").await?;
    assert!(metric(&metrics, "linkerd_failover_weights_undone_total").unwrap() >= 1.0);
    // A write for each undoing, and no more: never a loop of its own.
    let writes = metric(&metrics, "linkerd_failover_writes_total{result=\"ok\"}").unwrap();
    assert!(writes <= f64::from(undone) + 1.0, "{writes} writes, undone {undone} times");
    // It gives up; we do not.
    wait_weights(&splits, "emoji", &[0.0, 1.0]).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flip_that_another_webhook_refuses_for_ten_seconds_lands_afterwards() -> Result<()> {
    let cluster = cluster().await?;
    let installation = install(&cluster, 1, &[]).await?;
    let (workload, _west, splits) = emojivoto_with_split(&cluster).await?;

    refuse_updates(&workload, ("split.smi-spec.io", "trafficsplits"), "emoji").await?;
    workload.scale("emoji", 0).await?;
    let note = wait_event(&workload, "emoji", "FailoverRefused", "Warning").await?;
    assert!(note.contains("should move from emoji-svc to emoji-svc-west"), "{note}");
    assert!(note.contains(OTHER_WEBHOOK), "{note}");
    tokio::time::sleep(Duration::from_secs(10)).await;
    assert_eq!(weights(&splits.get("emoji").await?), [1.0, 0.0]);
    let refused = installation.replicas()[0].get("/metrics").await?;
    let tries = metric(&refused, "linkerd_failover_writes_total{result=\"failed\"}").unwrap();
    assert!((2.0..40.0).contains(&tries), "{tries} tries");

    accept_updates(&cluster).await?;
    wait_weights(&splits, "emoji", &[0.0, 1.0]).await?;
    Ok(())
}
