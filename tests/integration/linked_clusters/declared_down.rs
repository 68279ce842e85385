//! A linked cluster that is declared down, by its credentials Secret.

use crate::support::linked_clusters::*;
use crate::support::*;
use anyhow::Result;
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::Secret;
use kube::Api;
use kube::api::{Patch, PatchParams};
use serde_json::{Value, json};
use test_cluster::{Cluster, LINKS, Link};

async fn declare(east: &Cluster, link: &Link, until: Value) -> Result<()> {
    let secrets: Api<Secret> = Api::namespaced(east.client(), LINKS);
    let annotations = json!({"failover.linkerd.io/down-until": until});
    let patch = Patch::Merge(json!({"metadata": {"annotations": annotations}}));
    secrets.patch(&link.secret(), &PatchParams::default(), &patch).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn every_service_of_a_declared_cluster_is_left_and_returned_to() -> Result<()> {
    let (east, west) = east_and_west().await?;
    let link = link(&east, &west).await?;
    let installation = install(&east, 1, &[CREDENTIALS]).await?;
    let (here, _there) = (emoji_in(&east).await?, emoji_in(&west).await?);
    here.discovery_mirror("emoji-svc", "west").await?;
    here.apply(&prefers_west()).await?;
    let replica = &installation.replicas()[0];
    wait_reachable(replica, Some(1.0)).await?;
    let splits = splits(&east, "emojivoto");
    wait_weights(&splits, "emoji", &[0.0, 1.0]).await?;

    let until = Timestamp::now() + SignedDuration::from_secs(3_600);
    declare(&east, &link, json!(until.to_string())).await?;
    let left = wait_weights(&splits, "emoji", &[1.0, 0.0]).await?;
    let why = state(&left).unwrap().sets[""].why.clone();
    assert!(why.contains("emoji-svc-west: declared down until"), "{why}");
    wait_metric(replica, "linkerd_failover_declared_down_clusters", 1.0).await?;
    let event = wait_link_event(&east, &link, "DeclaredDown").await?;
    assert!(event.note.unwrap_or_default().starts_with("All Services of cluster west"));
    // The cluster itself is still watched.
    wait_reachable(replica, Some(1.0)).await?;

    declare(&east, &link, Value::Null).await?;
    wait_weights(&splits, "emoji", &[0.0, 1.0]).await?;
    wait_metric(replica, "linkerd_failover_declared_down_clusters", 0.0).await
}
