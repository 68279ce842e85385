//! Every way of announcing a loss that people use, and those that announce none.

use crate::support::deletion_guard::*;
use crate::support::*;
use anyhow::{Result, ensure};
use std::sync::atomic::{AtomicU32, Ordering};
use test_cluster::{Cluster, Workload};

const DRAINED: &str = "drained";

/// Drains the node `drained`, and lets it have pods again afterwards.
async fn drain(cluster: &Cluster, more: &[&str]) -> Result<()> {
    let drain = ["drain", DRAINED, "--ignore-daemonsets", "--delete-emptydir-data", "--force"];
    cluster.kubectl(drain).args(["--timeout=60s"]).args(more.iter().copied()).ok().await?;
    cluster.kubectl(["uncordon", DRAINED]).ok().await.map(drop)
}

async fn rollout(workload: &Workload<'_>, version: &AtomicU32) -> Result<()> {
    let version = format!("VERSION={}", version.fetch_add(1, Ordering::Relaxed));
    workload.kubectl(["set", "env", "deployment/emoji", &version]).ok().await?;
    let status = ["rollout", "status", "deployment/emoji", "--timeout=60s"];
    workload.kubectl(status).ok().await.map(drop)
}

#[tokio::test(flavor = "multi_thread")]
async fn traffic_moves_before_a_deleted_drained_or_recreated_pod_goes_and_never_for_a_dry_run()
-> Result<()> {
    let cluster = cluster().await?;
    cluster.add_node(DRAINED).await?;
    let installation = install_guard(&cluster, 2, &[]).await?;
    let workload = guarded_namespace(&cluster, "emojivoto").await?;
    let deployment = pods("emoji").node(DRAINED).strategy("Recreate");
    let emoji = Guarded::deploy(&installation, workload, deployment.clone()).await?;

    let mark = emoji.steady(1).await?;
    emoji.delete_pods(&["--dry-run=server"]).await?;
    drain(&cluster, &["--dry-run=server"]).await?;
    emoji.no_move(mark).await?;

    emoji.moves_early_from(1, async || emoji.delete_pods(&[]).await).await?;
    emoji.moves_early_from(1, async || drain(&cluster, &[]).await).await?;
    // What replaces it must wait until it has gone.
    let version = AtomicU32::new(0);
    emoji.moves_early_from(1, async || rollout(&emoji.workload, &version).await).await?;
    let delete = ["delete", "deployment", "emoji"];
    emoji
        .moves_early_from(3, async || {
            emoji.workload.kubectl(delete).ok().await?;
            emoji.workload.wait_endpoints("emoji-svc", 0).await?;
            emoji.workload.apply_deployment(&deployment).await
        })
        .await?;

    // None of these losses failed to come.
    ensure!(total(&installation, "linkerd_failover_guard_taken_back_total").await? == 0.0);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rolling_update_moves_nothing() -> Result<()> {
    let cluster = cluster().await?;
    let installation = install_guard(&cluster, 2, &[]).await?;
    let emoji = guarded_emoji(&cluster, &installation).await?;
    let version = AtomicU32::new(0);
    for round in 0..10 {
        let mark = emoji.steady([1, 3][round % 2]).await?;
        rollout(&emoji.workload, &version).await?;
        // All that were there before are replaced.
        emoji.loss(mark).await?;
        emoji.no_needless_move(mark).await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pod_guarded_by_its_own_label_is_guarded_but_for_evictions() -> Result<()> {
    let cluster = cluster().await?;
    cluster.add_node(DRAINED).await?;
    let installation = install_guard(&cluster, 2, &[]).await?;
    let workload = Workload::new(&cluster, "emojivoto").await?;
    let own = pods("emoji").node(DRAINED).pod_label("failover.linkerd.io/guard", "enabled");
    let emoji = Guarded::deploy(&installation, workload, own).await?;

    emoji.moves_early_from(1, async || emoji.delete_pods(&[]).await).await?;
    emoji.moves_early_from(1, async || emoji.workload.scale("emoji", 0).await).await?;
    // An Eviction has no labels of its pod, and the deletion in it is not asked about.
    let mark = emoji.steady(1).await?;
    drain(&cluster, &[]).await?;
    emoji.not_early(mark).await?;

    // Neither label: nothing is asked.
    let workload = Workload::new(&cluster, "plain").await?;
    let plain = Guarded::deploy(&installation, workload, pods("emoji")).await?;
    let mark = plain.steady(1).await?;
    plain.workload.scale("emoji", 0).await?;
    plain.not_early(mark).await?;
    plain.weights(&AWAY).await?;
    Ok(())
}
