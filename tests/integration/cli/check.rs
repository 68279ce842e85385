//! `linkerd-failover check`, called as `linkerd check` calls it, and read by its field names.

use crate::support::*;
use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::process::Command;
use test_cluster::{Cluster, Output, eventually};

const PROGRAM: &str = env!("CARGO_BIN_EXE_linkerd-failover");

/// What `linkerd check` passes on, but for the kubeconfig.
const LINKERDS: [&str; 7] = [
    "check",
    "--as-group=[]",
    "--linkerd-namespace=linkerd",
    "--verbose=false",
    "--proxy=false",
    "--api-addr=",
    "--output=json",
];

/// The results by their descriptions: `success`, or another with its error.
fn results(stdout: &str) -> Result<BTreeMap<String, String>> {
    let report: Value = serde_json::from_str(stdout).with_context(|| stdout.to_owned())?;
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let categories = report["categories"].as_array().context("no categories")?;
    let mut results = BTreeMap::new();
    for check in categories.iter().flat_map(|c| c["checks"].as_array().into_iter().flatten()) {
        let result = text(&check["result"]);
        ensure!((result == "success") == check["error"].is_null(), "{check}");
        ensure!((result == "success") == check["hint"].is_null(), "{check}");
        let result = match result.as_str() {
            "success" => result,
            other => format!("{other}: {}", text(&check["error"])),
        };
        results.insert(text(&check["description"]), result);
    }
    let is_failed = results.values().any(|result| result.starts_with("error"));
    ensure!(report["success"] == json!(!is_failed), "{stdout}");
    Ok(results)
}

async fn check(cluster: &Cluster, more: &[&str]) -> Result<Output> {
    let line = format!("{PROGRAM} {} {}", LINKERDS.join(" "), more.join(" "));
    cluster.sh(&line.replace('[', "\\[").replace(']', "\\]")).output().await
}

async fn checked(cluster: &Cluster, more: &[&str]) -> Result<BTreeMap<String, String>> {
    results(&check(cluster, more).await?.stdout)
}

/// Waits until a check has this result.
async fn wait_result(cluster: &Cluster, description: &str, begins: &str) -> Result<()> {
    eventually(&format!("{description}: {begins}"), PATIENCE, || async {
        let results = checked(cluster, &["--wait=0s"]).await?;
        let result = results.get(description).with_context(|| format!("{results:?}"))?;
        ensure!(result.starts_with(begins), "{result}");
        Ok(())
    })
    .await
}

#[test]
fn without_a_cluster_there_is_json_and_nothing_else() -> Result<()> {
    for (more, begins) in [
        ("--kubeconfig=/nowhere", "error: the cluster: found no usable configuration"),
        ("--as-group=[g1]", "error: the cluster: found no usable configuration (--as-group"),
    ] {
        let called = Command::new(PROGRAM)
            .args(LINKERDS)
            .args([more, "--wait=5m0s"])
            .env("KUBECONFIG", "/nowhere")
            .output()?;
        assert_eq!(called.status.code(), Some(1));
        let results = results(&String::from_utf8(called.stdout)?)?;
        let [(description, result)] = &results.into_iter().collect::<Vec<_>>()[..] else {
            panic!("one check")
        };
        assert_eq!(description, "can query the Kubernetes API");
        assert!(result.starts_with(begins), "{result}");
    }
    let called = Command::new(PROGRAM).args(LINKERDS).arg("--wait=soon").output()?;
    assert_eq!(called.status.code(), Some(2));
    let unreadable = &results(&String::from_utf8(called.stdout)?)?["the arguments can be read"];
    assert!(unreadable.contains("'soon' for '--wait"), "{unreadable}");
    Ok(())
}

const OTHER: &str = "
apiVersion: apps/v1
kind: Deployment
metadata: {name: old, namespace: linkerd-failover, labels: {linkerd.io/extension: failover}}
spec:
  replicas: 0
  selector: {matchLabels: {app: old}}
  template:
    metadata: {labels: {app: old}}
    spec: {containers: [{name: old, image: old, args: [--admin-addr=x]}]}
";

#[tokio::test]
async fn linkerd_sees_a_healthy_installation_pass_and_each_fault_fail() -> Result<()> {
    let cluster = cluster().await?;
    cluster.install_service_profile_crd().await?;
    let pre = checked(&cluster, &["--pre"]).await?;
    assert!(pre.values().all(|result| result == "success"), "{pre:?}");
    let bare = checked(&cluster, &["--wait=0s"]).await?;
    assert!(bare["linkerd-failover is installed"].starts_with("error: found no"), "{bare:?}");

    let installation = install(&cluster, 1, &["serviceProfiles.manage=true"]).await?;
    installation.run_pods().await?;
    let (workload, _west, _splits) = emojivoto_with_split(&cluster).await?;
    eventually("everything passes", PATIENCE, || async {
        let called = check(&cluster, &["--wait=60s"]).await?;
        let results = results(&called.stdout)?;
        ensure!(called.status.code() == Some(0), "{results:?}");
        // Linkerd is not in this cluster.
        let failed = results.iter().filter(|(_, result)| *result != "success");
        let failed: Vec<_> = failed.map(|(description, _)| description.as_str()).collect();
        ensure!(
            failed == ["you may read what the checks look at"] || failed.is_empty(),
            "{results:?}"
        );
        for dry_run in ["the webhook defaults what is created", "the webhook refuses what is wrong"]
        {
            ensure!(results.contains_key(dry_run), "{results:?}");
        }
        Ok(())
    })
    .await?;

    // As somebody without rights: named, and no fault.
    let nobody = check(&cluster, &["--as=nobody", "--wait=0s"]).await?;
    let nobodys = results(&nobody.stdout)?;
    let may_read = &nobodys["you may read what the checks look at"];
    assert!(may_read.contains("you may not list deployments.apps"), "{may_read}");
    assert!(may_read.contains("trafficsplits may not be listed"), "{may_read}");
    assert_eq!(nobody.status.code(), Some(0), "{nobodys:?}");

    // What people want so.
    let split = ["annotate", "trafficsplit", "emoji", "--overwrite"];
    let paused = "failover.linkerd.io/paused";
    workload.kubectl(split).args([format!("{paused}=true")]).ok().await?;
    wait_result(&cluster, "no object is paused", "warning: found TrafficSplit emojivoto/emoji")
        .await?;
    let pin = "failover.linkerd.io/pin";
    workload.kubectl(split).args([format!("{paused}-"), format!("{pin}=emoji-svc")]).ok().await?;
    wait_result(&cluster, "no object is pinned", "warning: found TrafficSplit emojivoto/emoji")
        .await?;
    workload.kubectl(split).args([format!("{pin}-")]).ok().await?;
    let frozen = ["annotate", "namespace", "linkerd-failover"];
    cluster.kubectl(frozen).args(["failover.linkerd.io/frozen=true"]).ok().await?;
    wait_result(&cluster, "the cluster is not frozen", "error: found").await?;
    cluster.kubectl(frozen).args(["failover.linkerd.io/frozen-"]).ok().await?;

    // What nobody wants.
    cluster.apply(OTHER).await?;
    wait_result(
        &cluster,
        "linkerd-failover 0.1 is gone",
        "error: found Deployment linkerd-failover/old",
    )
    .await?;
    cluster.kubectl(["delete", "deployment", "old", "-n", "linkerd-failover"]).ok().await?;
    installation.webhook_down()?;
    wait_result(&cluster, "the webhook refuses what is wrong", "error: found that the API server")
        .await?;
    wait_result(&cluster, "the webhook defaults what is created", "error: found").await?;
    installation.webhook_up()?;
    workload.kubectl(["delete", "service", "emoji-svc-west"]).ok().await?;
    wait_result(&cluster, "a fallback of each object is ready", "error: found").await?;
    wait_result(
        &cluster,
        "admission would take all objects",
        "error: TrafficSplit emojivoto/emoji",
    )
    .await?;
    let role = ["delete", "clusterrolebinding", "linkerd-failover"];
    cluster.kubectl(role).ok().await?;
    wait_result(&cluster, "its ServiceAccount has all rights", "error: it may not").await?;
    cluster
        .kubectl([
            "scale",
            "deployment",
            "linkerd-failover",
            "-n",
            "linkerd-failover",
            "--replicas=0",
        ])
        .ok()
        .await?;
    wait_result(&cluster, "its replicas are ready", "error: found 0 replicas").await
}
