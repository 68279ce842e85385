//! Two releases in one cluster, and in one namespace: each has its own name and selector.

use crate::support::*;
use anyhow::{Context, Result};
use k8s_openapi::api::coordination::v1::Lease;
use kube::Api;
use test_cluster::{Cluster, InstallOptions, Installation, Workload, eventually};

/// Waits until a release's webhook refuses a bad split of its own.
async fn wait_webhook_of(cluster: &Cluster, release: &str) -> Result<()> {
    let probe = manifest("probe", "nowhere", &[]).replace("  namespace: emojivoto\n", "");
    let probe =
        probe.replace("controlled-by: linkerd-failover", &format!("controlled-by: {release}"));
    eventually(&format!("{release} refuses a bad split"), PATIENCE, || async {
        let create = ["create", "--dry-run=server", "-n", "default", "-f", "-"];
        let refused = cluster.kubectl(create).stdin(&probe).output().await?;
        anyhow::ensure!(refused.stderr.contains("denied the request"), "{}", refused.stderr);
        Ok(())
    })
    .await
}

async fn holder(cluster: &Cluster, lease: &str) -> Result<String> {
    let leases: Api<Lease> = Api::namespaced(cluster.client(), "linkerd-failover");
    eventually(&format!("{lease} has a holder"), PATIENCE, || async {
        let spec = leases.get(lease).await?.spec.context("no spec")?;
        spec.holder_identity.filter(|holder| !holder.is_empty()).context("nobody holds it")
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn two_releases_handle_their_own_splits_and_one_goes_without_the_other() -> Result<()> {
    let cluster = cluster().await?;
    let first = install(&cluster, 1, &[]).await?;
    let second = options(1, &["fullnameOverride=second"]);
    let second = InstallOptions { release: "second".into(), ..second };
    let second = Installation::install(&cluster, second).await?;
    second.wait_ready(PATIENCE).await?;
    wait_webhook_of(&cluster, "second").await?;

    assert!(holder(&cluster, "linkerd-failover").await?.starts_with("linkerd-failover-"));
    assert!(holder(&cluster, "second").await?.starts_with("second-"));

    let (workload, _west) = emojivoto(&cluster).await?;
    workload.deploy("web", 1).await?;
    let _web_west = workload.mirror("web-svc", "west").await?;
    workload.apply(&emoji()).await?;
    let web = manifest("web", "web-svc", &["web-svc-west"]);
    let web = web.replace("controlled-by: linkerd-failover", "controlled-by: second");
    workload.apply(&web).await?;

    workload.scale("emoji", 0).await?;
    workload.scale("web", 0).await?;
    let splits = splits(&cluster, "emojivoto");
    let mut by = vec![];
    for name in ["emoji", "web"] {
        let split = wait_weights(&splits, name, &[0.0, 1.0]).await?;
        by.push(state(&split).context("no state")?.by);
    }
    assert_eq!(by, [first.replicas()[0].name(), second.replicas()[0].name()]);

    // Nothing of the other is taken along.
    first.uninstall().await?;
    wait_webhook_of(&cluster, "second").await?;
    workload.scale("web", 1).await?;
    wait_weights(&splits, "web", &[1.0, 0.0]).await?;
    let remaining = Workload::kubectl(&workload, ["get", "trafficsplit", "emoji", "-o=name"]);
    assert!(remaining.ok().await?.contains("emoji"));
    Ok(())
}
