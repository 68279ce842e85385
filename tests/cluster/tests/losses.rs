//! Losses that are announced, as kubectl and the controllers of Kubernetes make them, and the order
//! in which they are seen.

use anyhow::{Context, Result, ensure};
use k8s_openapi::api::core::v1::Pod;
use kube::api::{Api, ListParams};
use std::time::Duration;
use test_cluster::{Cluster, Deployment, Recorder, Workload, eventually};

const PATIENCE: Duration = Duration::from_secs(60);

fn emoji() -> Deployment {
    Deployment::new("emoji").grace_seconds(30)
}

/// The names of all pods, those that terminate too.
async fn pods(workload: &Workload<'_>) -> Result<Vec<String>> {
    let pods: Api<Pod> = workload.api();
    let pods = pods.list(&ListParams::default()).await?;
    Ok(pods.items.into_iter().filter_map(|pod| pod.metadata.name).collect())
}

#[tokio::test]
async fn a_pod_with_a_grace_period_terminates_before_its_endpoint_goes() -> Result<()> {
    let cluster = Cluster::start().await?;
    let workload = Workload::new(&cluster, "emojivoto").await?;
    workload.deploy_as(&emoji().replicas(3)).await?;
    let recorder = Recorder::start(&workload, &[]).await?;

    let mark = recorder.now().await?;
    workload.scale("emoji", 0).await?;
    workload.wait_endpoints("emoji-svc", 0).await?;
    let history = recorder.since(mark).await?;
    let (end, loss) = (history.first_end().context("no end")?, history.loss("emoji-svc"));
    ensure!(mark < end && Some(end) < loss, "{history}");
    // kwok does not wait for the grace period.
    eventually("no pod is left", PATIENCE, || async {
        let pods = pods(&workload).await?;
        ensure!(pods.is_empty(), "{pods:?}");
        Ok(())
    })
    .await?;

    // A single pod is replaced: the loss is that of the one that was there.
    workload.scale("emoji", 1).await?;
    workload.wait_endpoints("emoji-svc", 1).await?;
    let mark = recorder.now().await?;
    workload.kubectl(["delete", "pod", "--selector=app=emoji-svc"]).ok().await?;
    workload.wait_endpoints("emoji-svc", 1).await?;
    let history = recorder.since(mark).await?;
    ensure!(history.loss("emoji-svc") > history.first_end(), "{history}");
    ensure!(history.first_end() > Some(mark), "{history}");
    Ok(())
}

#[tokio::test]
async fn a_drain_evicts_from_one_node_only_and_as_far_as_a_budget_lets_it() -> Result<()> {
    let cluster = Cluster::start().await?;
    cluster.add_node("drained").await?;
    let workload = Workload::new(&cluster, "emojivoto").await?;
    workload.deploy_as(&emoji().node("drained")).await?;
    workload.deploy_as(&Deployment::new("voting").grace_seconds(30)).await?;
    let before = pods(&workload).await?;
    let drain =
        |more: &[&str]| cluster.kubectl(["drain", "drained", "--force"]).args(more.iter().copied());
    let budget = ["create", "poddisruptionbudget", "emoji", "--min-available=1"];
    workload.kubectl(budget).args(["--selector=app=emoji-svc"]).ok().await?;

    let refused = drain(&["--timeout=8s"]).output().await?;
    ensure!(refused.stderr.contains("would violate the pod's disruption budget"), "{refused:?}");
    workload.kubectl(["delete", "poddisruptionbudget", "emoji"]).ok().await?;
    drain(&["--timeout=60s", "--dry-run=server"]).ok().await?;
    assert_eq!(pods(&workload).await?, before);

    let recorder = Recorder::start(&workload, &[]).await?;
    let mark = recorder.now().await?;
    drain(&["--timeout=60s"]).ok().await?;
    let history = recorder.since(mark).await?;
    ensure!(history.loss("emoji-svc").is_some(), "{history}");
    ensure!(history.loss("voting-svc").is_none(), "{history}");
    Ok(())
}

#[tokio::test]
async fn a_recreate_rollout_loses_all_and_a_rolling_update_nothing() -> Result<()> {
    let cluster = Cluster::start().await?;
    let workload = Workload::new(&cluster, "emojivoto").await?;
    workload.deploy_as(&emoji().strategy("Recreate")).await?;
    workload.deploy_as(&Deployment::new("voting").grace_seconds(30).replicas(2)).await?;
    let recorder = Recorder::start(&workload, &[]).await?;
    for (name, lost) in [("emoji", true), ("voting", false)] {
        let mark = recorder.now().await?;
        let deployment = format!("deployment/{name}");
        workload.kubectl(["rollout", "restart", &deployment]).ok().await?;
        workload.kubectl(["rollout", "status", &deployment, "--timeout=60s"]).ok().await?;
        let history = recorder.since(mark).await?;
        // What went in the end are the pods of the old version.
        ensure!(history.loss(&format!("{name}-svc")).is_some(), "{history}");
        ensure!(history.empty(&format!("{name}-svc")).is_some() == lost, "{name} {history}");
    }
    Ok(())
}
