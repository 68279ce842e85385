//! Clusters, and the chart in them.

use super::*;
use anyhow::{Result, ensure};
use linkerd_failover::kinds::Kind;
use std::path::PathBuf;
use test_cluster::{ApiProxy, Cluster, Contents, InstallOptions, Installation, eventually};

/// The built program.
pub(crate) const PROGRAM: &str = env!("CARGO_BIN_EXE_linkerd-failover");

/// Prints the program's logs if a test fails.
pub(crate) fn options(replicas: usize, values: &[&str]) -> InstallOptions {
    let values: Vec<String> = values.iter().map(|v| (*v).to_owned()).collect();
    let binary = PathBuf::from(PROGRAM);
    InstallOptions { values, replicas, binary, ..InstallOptions::default() }
}

/// A cluster with the CRD of `TrafficSplit`, and nothing else.
pub(crate) async fn cluster() -> Result<Cluster> {
    Cluster::shared(Contents::TrafficSplits).await
}

/// A cluster without any custom resource.
pub(crate) async fn bare_cluster() -> Result<Cluster> {
    Cluster::shared(Contents::Nothing).await
}

/// The chart with so many replicas, ready.
pub(crate) async fn install(
    cluster: &Cluster,
    replicas: usize,
    values: &[&str],
) -> Result<Installation> {
    let installation = Installation::install(cluster, options(replicas, values)).await?;
    installation.wait_ready(PATIENCE).await?;
    wait_webhook(cluster).await?;
    Ok(installation)
}

/// The chart with one replica, ready, that reaches the API server through a proxy.
pub(crate) async fn install_behind_a_proxy(cluster: &Cluster) -> Result<(Installation, ApiProxy)> {
    install_behind_a_proxy_with(cluster, &[]).await
}

/// The same, with these values of the chart.
pub(crate) async fn install_behind_a_proxy_with(
    cluster: &Cluster,
    set: &[&str],
) -> Result<(Installation, ApiProxy)> {
    let mut installation = Installation::install(cluster, options(0, set)).await?;
    let proxy = ApiProxy::start(cluster)?;
    installation.start_replica_through(&proxy).await?;
    installation.wait_ready(PATIENCE).await?;
    wait_webhook(cluster).await?;
    Ok((installation, proxy))
}

/// Whether the program's ServiceAccount may do this: `list`, `secrets`, `--namespace=kube-system`.
pub(crate) async fn may(cluster: &Cluster, question: &[&str]) -> Result<bool> {
    let account = "--as=system:serviceaccount:linkerd-failover:linkerd-failover";
    let asked = cluster.kubectl(["auth", "can-i", account]).args(question.iter().copied());
    Ok(asked.output().await?.stdout.trim() == "yes")
}

/// Waits until the API server asks the webhook and is answered: it takes a moment to see a
/// webhook and its CA, and a Service takes one to lead to a pod that has become ready.
pub(crate) async fn wait_webhook(cluster: &Cluster) -> Result<()> {
    eventually("a bad split is refused by the webhook", PATIENCE, || async {
        let probe = manifest("probe", "nowhere", &[]).replace("  namespace: emojivoto\n", "");
        let refused = cluster
            .kubectl(["create", "--dry-run=server", "-n", "default", "-f", "-"])
            .stdin(probe)
            .output()
            .await?;
        ensure!(refused.stderr.contains("denied the request"), "{}", refused.stderr);
        Ok(())
    })
    .await
}

/// The chart in a cluster without TrafficSplits, once its webhook is asked about routes.
pub(crate) async fn install_for_routes(cluster: &Cluster, replicas: usize) -> Result<Installation> {
    let installation = Installation::install(cluster, options(replicas, &[])).await?;
    installation.wait_ready(PATIENCE).await?;
    wait_route_webhook(cluster).await?;
    Ok(installation)
}

pub(crate) async fn wait_route_webhook(cluster: &Cluster) -> Result<()> {
    eventually("a bad route is refused by the webhook", PATIENCE, || async {
        let probe = route(Kind::HttpRoute, &[("", &["nowhere", "never"])]);
        let probe = probe.to_string().replace(r#""emojivoto""#, r#""default""#);
        let create = cluster.kubectl(["create", "--dry-run=server", "-f", "-"]);
        let refused = create.stdin(probe).output().await?;
        ensure!(refused.stderr.contains("denied the request"), "{}", refused.stderr);
        Ok(())
    })
    .await
}
