//! Clusters that one test after the other uses: the next does not find what one created.

use anyhow::{Context, Result, ensure};
use std::collections::BTreeSet;
use test_cluster::{Cluster, Contents, Workload};

const REFUSING: &str = r#"
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingWebhookConfiguration
metadata: {name: refusing}
webhooks:
- name: refusing.example.com
  clientConfig: {url: "https://127.0.0.1:1/"}
  admissionReviewVersions: [v1]
  sideEffects: None
  rules: [{apiGroups: [""], apiVersions: ["*"], operations: [CREATE], resources: [namespaces]}]
"#;

const SPLIT: &str = "
apiVersion: split.smi-spec.io/v1alpha2
kind: TrafficSplit
metadata: {name: emoji, finalizers: [example.com/stays]}
spec: {service: emoji-svc, backends: [{service: emoji-svc, weight: 1}]}
";

/// Every object that lasts.
async fn objects(cluster: &Cluster) -> Result<BTreeSet<String>> {
    let kinds = cluster.kubectl(["api-resources", "--verbs=list", "-o", "name"]).ok().await?;
    let transient = |kind: &&str| !kind.starts_with("events") && !kind.starts_with("leases.");
    let kinds = kinds.lines().filter(transient).collect::<Vec<_>>().join(",");
    let get = [
        "get",
        &kinds,
        "-A",
        "-o",
        "go-template={{range .items}}{{.kind}} {{.metadata.namespace}} {{.metadata.name}} {{.metadata.uid}}{{\"\\n\"}}{{end}}",
    ];
    Ok(cluster.kubectl(get).ok().await?.lines().map(String::from).collect())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_test_finds_nothing_of_the_one_before_it() -> Result<()> {
    let cluster = Cluster::shared(Contents::TrafficSplits).await?;
    let folder = cluster.folder().to_path_buf();
    let before = objects(&cluster).await?;
    let workload = Workload::new(&cluster, "emojivoto").await?;
    workload.deploy_emoji(3).await?;
    workload.mirror("emoji-svc", "west").await?;
    workload.apply(SPLIT).await?;
    cluster.install_service_profile_crd().await?;
    cluster.add_node("drained").await?;
    cluster.kubectl(["drain", "kwok", "--force"]).ok().await?;
    cluster.kubectl(["delete", "clusterrole", "view"]).ok().await?;
    cluster.kubectl(["label", "namespace", "default", "a=b"]).ok().await?;
    cluster.apply(REFUSING).await?;
    ensure!(objects(&cluster).await? != before, "nothing was left");
    drop(cluster);

    let cluster = loop {
        let cluster = Cluster::shared(Contents::TrafficSplits).await?;
        if cluster.folder() == folder {
            break cluster;
        }
        // It is being emptied still; this one is another.
        tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    };
    assert_eq!(objects(&cluster).await?, before);
    let get = ["get", "node/kwok", "namespace/default", "-o", "json"];
    let both: serde_json::Value = serde_json::from_str(&cluster.kubectl(get).ok().await?)?;
    ensure!(both["items"][0]["spec"]["unschedulable"].is_null(), "{both}");
    ensure!(both["items"][1]["metadata"]["labels"]["a"].is_null(), "{both}");
    let view = cluster.kubectl(["get", "clusterrole", "view", "-o=name"]).ok().await;
    view.context("a role that was there is gone")?;

    let workload = Workload::new(&cluster, "emojivoto").await?;
    workload.deploy_emoji(1).await?;
    workload.apply(&SPLIT.replace(", finalizers: [example.com/stays]", "")).await?;
    workload.scale("emoji", 0).await?;
    workload.wait_endpoints("emoji-svc", 0).await?;
    Ok(())
}
