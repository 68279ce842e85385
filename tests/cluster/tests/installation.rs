//! The stand-ins for kubelet and kube-proxy, with a chart and a program that
//! do just enough.

use std::path::Path;
use std::time::Duration;
use test_cluster::{Cluster, InstallOptions, Installation, eventually};

const PATIENCE: Duration = Duration::from_secs(20);

fn options() -> InstallOptions {
    InstallOptions {
        chart: Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixture-chart"),
        binary: env!("CARGO_BIN_EXE_test-cluster-stub").into(),
        replicas: 2,
        ..InstallOptions::default()
    }
}

/// What the API server says of a write that the webhook is asked about.
async fn refusal(cluster: &Cluster, cause: &str) -> anyhow::Result<()> {
    eventually(cause, PATIENCE, || async {
        let create = ["create", "configmap", "any", "--namespace", "guarded"];
        let output = cluster.kubectl(create).output().await?;
        anyhow::ensure!(output.stderr.contains(cause), "{}", output.stderr);
        Ok(())
    })
    .await
}

#[tokio::test]
async fn the_chart_runs() -> anyhow::Result<()> {
    let cluster = Cluster::start().await?;
    let namespace = ["create", "namespace", "guarded"];
    cluster.kubectl(namespace).ok().await?;
    let mut installation = Installation::install(&cluster, options()).await?;
    installation.wait_ready(PATIENCE).await?;

    let replica = &installation.replicas()[0];
    let log = std::fs::read_to_string(replica.process().log())?;
    assert_eq!(log, format!("I am {}\n", replica.name()));
    let config = cluster.folder().join("home").join(replica.name());
    let config = config.join("kubeconfig");
    let account = cluster
        .kubectl(["auth", "whoami", "-o=jsonpath={.status.userInfo.username}"])
        .env("KUBECONFIG", config)
        .ok()
        .await?;
    assert_eq!(account, "system:serviceaccount:linkerd-failover:fixture");

    let reached = "server gave HTTP response to HTTPS client";
    refusal(&cluster, reached).await?;
    installation.webhook_down()?;
    refusal(&cluster, "connection refused").await?;
    installation.webhook_up()?;
    refusal(&cluster, reached).await?;

    for replica in installation.replicas() {
        replica.process().kill()?;
    }
    refusal(&cluster, "connection refused").await?;
    installation.replicas()[1].restart().await?;
    installation.replicas()[1].wait_ready(PATIENCE).await?;
    refusal(&cluster, reached).await?;
    installation.start_replica().await?;
    installation.wait_ready(PATIENCE).await?;

    installation.uninstall().await?;
    let create = ["create", "configmap", "any", "--namespace", "guarded"];
    eventually("nothing guards", PATIENCE, || cluster.kubectl(create).ok()).await?;
    Ok(())
}

#[tokio::test]
async fn without_a_webhook_nothing_is_served() -> anyhow::Result<()> {
    let cluster = Cluster::start().await?;
    let options = InstallOptions { values: vec!["webhook.enabled=false".into()], ..options() };
    let installation = Installation::install(&cluster, options).await?;
    installation.wait_ready(PATIENCE).await?;
    assert_eq!(installation.webhook_service(), None);
    assert!(installation.webhook_down().is_err());
    Ok(())
}
