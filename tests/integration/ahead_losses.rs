//! Every way of announcing a loss that people use, and those that announce none.

use crate::ahead::*;
use crate::stage::*;
use anyhow::{Result, ensure};
use test_cluster::{Cluster, Workload};

const LEAVING: &str = "leaving";

/// Drains the node `leaving`, and lets it have pods again afterwards.
async fn drain(cluster: &Cluster, more: &[&str]) -> Result<()> {
    let drain = ["drain", LEAVING, "--ignore-daemonsets", "--delete-emptydir-data", "--force"];
    cluster.kubectl(drain).args(["--timeout=60s"]).args(more.iter().copied()).ok().await?;
    cluster.kubectl(["uncordon", LEAVING]).ok().await.map(drop)
}

async fn rollout(workload: &Workload<'_>, version: &str) -> Result<()> {
    let version = format!("VERSION={version}");
    workload.kubectl(["set", "env", "deployment/emoji", &version]).ok().await?;
    let status = ["rollout", "status", "deployment/emoji", "--timeout=60s"];
    workload.kubectl(status).ok().await.map(drop)
}

#[tokio::test(flavor = "multi_thread")]
async fn traffic_moves_before_a_deleted_drained_or_recreated_pod_goes_and_never_for_a_dry_run()
-> Result<()> {
    let cluster = cluster().await?;
    cluster.add_node(LEAVING).await?;
    let installation = install_guard(&cluster, 2, &[]).await?;
    let workload = guarded_namespace(&cluster, "emojivoto").await?;
    let deployment = pods("emoji").node(LEAVING).strategy("Recreate");
    let emoji = Guarded::deploy(workload, "emoji", deployment.clone()).await?;

    let mark = emoji.steady(1).await?;
    emoji.delete_pods(&["--dry-run=server"]).await?;
    drain(&cluster, &["--dry-run=server"]).await?;
    emoji.no_move(mark).await?;
    emoji.delete_pods(&[]).await?;
    emoji.moved_ahead(mark).await?;

    let mark = emoji.steady(1).await?;
    drain(&cluster, &[]).await?;
    emoji.moved_ahead(mark).await?;

    // What replaces it must wait until it has gone.
    let mark = emoji.steady(1).await?;
    rollout(&emoji.workload, "next").await?;
    emoji.moved_ahead(mark).await?;

    let mark = emoji.steady(3).await?;
    emoji.workload.kubectl(["delete", "deployment", "emoji"]).ok().await?;
    emoji.moved_ahead(mark).await?;
    emoji.workload.deploy_as(&deployment).await?;
    emoji.steady(1).await?;

    // None of these losses failed to come.
    ensure!(total(&installation, "linkerd_failover_guard_taken_back_total").await? == 0.0);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rolling_update_moves_nothing() -> Result<()> {
    let cluster = cluster().await?;
    let _installation = install_guard(&cluster, 2, &[]).await?;
    let emoji = guarded_emoji(&cluster).await?;
    for version in 0..10 {
        let mark = emoji.steady(if version % 2 == 0 { 1 } else { 3 }).await?;
        rollout(&emoji.workload, &version.to_string()).await?;
        // All that were there before are replaced.
        emoji.loss(mark).await?;
        emoji.no_move(mark).await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pod_guarded_by_its_own_label_is_guarded_but_for_evictions() -> Result<()> {
    let cluster = cluster().await?;
    cluster.add_node(LEAVING).await?;
    let _installation = install_guard(&cluster, 2, &[]).await?;
    let workload = Workload::new(&cluster, "emojivoto").await?;
    let own = pods("emoji").node(LEAVING).pod_label("failover.linkerd.io/guard", "enabled");
    let emoji = Guarded::deploy(workload, "emoji", own).await?;

    let mark = emoji.steady(1).await?;
    emoji.delete_pods(&[]).await?;
    emoji.moved_ahead(mark).await?;
    let mark = emoji.steady(1).await?;
    emoji.workload.scale("emoji", 0).await?;
    emoji.moved_ahead(mark).await?;
    // An Eviction has no labels of its pod, and the deletion in it is not asked about.
    let mark = emoji.steady(1).await?;
    drain(&cluster, &[]).await?;
    emoji.not_ahead(mark).await?;

    // Neither label: nothing is asked.
    let workload = Workload::new(&cluster, "plain").await?;
    let plain = Guarded::deploy(workload, "emoji", pods("emoji")).await?;
    let mark = plain.steady(1).await?;
    plain.workload.scale("emoji", 0).await?;
    plain.not_ahead(mark).await?;
    plain.weights(&AWAY).await?;
    Ok(())
}
