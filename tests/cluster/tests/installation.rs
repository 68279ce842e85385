//! The stand-ins for kubelet and kube-proxy, with a chart and a program that
//! do just enough.

use anyhow::Context;
use k8s_openapi::api::authentication::v1::{TokenReview, TokenReviewSpec};
use kube::api::{Api, PostParams};
use std::path::Path;
use std::time::Duration;
use test_cluster::{Cluster, InstallOptions, Installation, Process, eventually};

const PATIENCE: Duration = Duration::from_secs(60);

fn options() -> InstallOptions {
    InstallOptions {
        chart: Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixture-chart"),
        binary: env!("CARGO_BIN_EXE_test-cluster-stub").into(),
        replicas: 2,
        ..InstallOptions::default()
    }
}

/// The API server's answer to a write that the webhook reviews.
async fn refusal(cluster: &Cluster, cause: &str) -> anyhow::Result<()> {
    eventually(cause, PATIENCE, || async {
        let create = ["create", "configmap", "any", "--namespace", "guarded"];
        let output = cluster.kubectl(create).output().await?;
        anyhow::ensure!(output.stderr.contains(cause), "{}", output.stderr);
        Ok(())
    })
    .await
}

/// What a process was started with.
fn variable(process: &Process, name: &str) -> anyhow::Result<String> {
    let variables = std::fs::read_to_string(format!("/proc/{}/environ", process.pid()))?;
    let mut variables = variables.split('\0').filter_map(|variable| variable.split_once('='));
    let (_, value) = variables.find(|(known, _)| *known == name).context("it has none")?;
    Ok(value.into())
}

/// Whose a token is, as far as `audience` is concerned.
async fn reviewed(cluster: &Cluster, token: &str, audience: &str) -> anyhow::Result<String> {
    let spec =
        TokenReviewSpec { audiences: Some(vec![audience.into()]), token: Some(token.into()) };
    let reviews: Api<TokenReview> = Api::all(cluster.client());
    let review = TokenReview { spec, ..TokenReview::default() };
    let answer = reviews.create(&PostParams::default(), &review).await?;
    let status = answer.status.context("the review has no answer")?;
    let user = status.user.and_then(|user| user.username);
    user.with_context(|| status.error.unwrap_or_default())
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

    // The program's default for the path is led to the volume.
    let token = variable(&replica.process(), "LINKERD_FAILOVER_PEER_TOKEN_FILE")?;
    let token = std::fs::read_to_string(&token).with_context(|| token.clone())?;
    let user = reviewed(&cluster, &token, "fixture.example.com").await?;
    assert_eq!(user, "system:serviceaccount:linkerd-failover:fixture");
    let elsewhere = reviewed(&cluster, &token, "https://kubernetes.default.svc.cluster.local");
    assert!(elsewhere.await.is_err(), "the token is good for the API server too");

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
