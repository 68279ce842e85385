//! Flip before the loss, of an `HTTPRoute`.

use crate::support::deletion_guard::*;
use crate::support::*;
use anyhow::{Result, ensure};
use linkerd_failover::kinds::Kind;
use test_cluster::Installation;

#[tokio::test(flavor = "multi_thread")]
async fn a_route_moves_before_the_loss_too_and_waits_for_no_adaptor() -> Result<()> {
    let cluster = bare_cluster().await?;
    cluster.install_gateway_api_crds().await?;
    let installation = Installation::install(&cluster, guard_options(2, &[])).await?;
    installation.wait_ready(PATIENCE).await?;
    wait_route_webhook(&cluster).await?;
    wait_guard(&cluster, &installation).await?;
    let workload = guarded_namespace(&cluster, "emojivoto").await?;
    workload.deploy_as(&pods("emoji")).await?;
    let west = workload.mirror("emoji-svc", "west").await?;
    let both: &[&str] = &["emoji-svc", "emoji-svc-west"];
    workload.apply(&route(Kind::HttpRoute, &[("", both)]).to_string()).await?;
    let kind = Kind::HttpRoute.api_resource("v1");
    let emoji = Guarded::record(&installation, workload, west, kind).await?;

    for replicas in [1, 10] {
        emoji.moves_early_from(replicas, async || emoji.workload.scale("emoji", 0).await).await?;
    }
    emoji.moves_early_from(1, async || emoji.delete_pods(&[]).await).await?;
    let note = wait_event(&emoji.workload, "emoji", "Failover", "Warning").await?;
    ensure!(note.contains("ahead of the deletion of pod"), "{note}");
    Ok(())
}
