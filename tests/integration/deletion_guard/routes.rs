//! Flip before the loss, of an `HTTPRoute`.

use crate::support::deletion_guard::*;
use crate::support::*;
use anyhow::{Context, Result, ensure};
use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use kube::api::ListParams;
use linkerd_failover::kinds::Kind;
use serde_json::json;
use test_cluster::{Cluster, Installation, Workload, eventually};

/// Longer than a flip takes, and within the bound.
const PROPAGATION: &str = "guard.propagation=200ms";

/// A review of the deletion of a pod, with a label that it does not have, from who is not the API server.
async fn announce_as_a_stranger(
    cluster: &Cluster,
    installation: &Installation,
    emoji: &Guarded<'_>,
) -> Result<String> {
    let pods: Api<Pod> = emoji.workload.api();
    let list = pods.list(&ListParams::default().labels("app=emoji-svc")).await?;
    let mut pod = serde_json::to_value(list.items.first().context("no pod")?)?;
    let (name, namespace) = (pod["metadata"]["name"].take(), emoji.workload.namespace());
    pod["metadata"]["name"] = name.clone();
    pod["metadata"]["labels"]["failover.linkerd.io/guard"] = json!("enabled");
    let review = json!({
        "apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview",
        "request": {"uid": "u-1", "operation": "DELETE", "namespace": namespace, "name": name,
            "dryRun": false, "object": null, "options": {}, "oldObject": pod},
    });
    let (tls, address) = (connector(cluster).await?, installation.replicas()[0].webhook_addr());
    post(&tls, address, "/pod-deletion", review.to_string().as_bytes()).await
}

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

    // Nor is anybody else believed who announces a pod without it.
    let mark = emoji.steady(1).await?;
    let answer = announce_as_a_stranger(&cluster, &installation, &emoji).await?;
    ensure!(answer.contains(r#""verdict":"not_labelled""#), "{answer}");
    emoji.no_move(mark).await?;

    // The label is all there is to set.
    guard(&emoji.workload).await?;
    wait_reviewed(&emoji.workload, &installation).await?;
    for replicas in [1, 10] {
        emoji.moves_early_from(replicas, async || emoji.workload.scale("emoji", 0).await).await?;
    }
    emoji.moves_early_from(1, async || emoji.delete_pods(&[]).await).await?;
    eventually("an Event names the pod", PATIENCE, || async {
        let notes = ["get", "events", "--output=jsonpath={.items[*].message}"];
        let notes = emoji.workload.kubectl(notes).ok().await?;
        ensure!(notes.contains("ahead of the deletion of pod"), "{notes}");
        Ok(())
    })
    .await?;
    let delayed = delayed_for_a_flip(&installation).await?;
    ensure!(delayed >= 0.2, "{delayed} s");
    Ok(())
}
