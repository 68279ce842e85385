//! Flip before the loss, of an `HTTPRoute`.

use crate::support::deletion_guard::*;
use crate::support::*;
use anyhow::{Result, ensure};
use linkerd_failover::kinds::Kind;
use test_cluster::{Installation, Workload};

/// Longer than a flip takes, and within the bound.
const PROPAGATION: &str = "guard.propagation=200ms";

#[tokio::test(flavor = "multi_thread")]
async fn a_route_moves_before_the_loss_once_the_label_is_set_and_the_proxies_have_time_to_follow()
-> Result<()> {
    let cluster = bare_cluster().await?;
    cluster.install_gateway_api_crds().await?;
    let installation = Installation::install(&cluster, guard_options(2, &[PROPAGATION])).await?;
    installation.wait_ready(PATIENCE).await?;
    wait_route_webhook(&cluster).await?;
    wait_guard(&cluster, &installation).await?;
    let workload = Workload::new(&cluster, "emojivoto").await?;
    workload.deploy_as(&pods("emoji")).await?;
    let west = workload.mirror("emoji-svc", "west").await?;
    let both: &[&str] = &["emoji-svc", "emoji-svc-west"];
    workload.apply(&route(Kind::HttpRoute, &[("", both)]).to_string()).await?;
    let kind = Kind::HttpRoute.api_resource("v1");
    let emoji = Guarded::record(&installation, workload, west, kind).await?;

    // Nothing has the label: nobody is asked, and traffic moves after the loss.
    let (mark, before) = (emoji.steady(1).await?, reviewed(&installation).await?);
    emoji.workload.scale("emoji", 0).await?;
    emoji.not_early(mark).await?;
    emoji.weights(&AWAY).await?;
    assert_eq!(reviewed(&installation).await?, before);

    // The label is all there is to set.
    guard(&emoji.workload).await?;
    wait_reviewed(&emoji.workload, &installation).await?;
    for replicas in [1, 10] {
        emoji.moves_early_from(replicas, async || emoji.workload.scale("emoji", 0).await).await?;
    }
    emoji.moves_early_from(1, async || emoji.delete_pods(&[]).await).await?;
    let note = wait_event(&emoji.workload, "emoji", "Failover", "Warning").await?;
    ensure!(note.contains("ahead of the deletion of pod"), "{note}");
    let delayed = delayed_for_a_flip(&installation).await?;
    ensure!(delayed >= 0.2, "{delayed} s");
    Ok(())
}
