//! Two replicas: one acts, the other takes over.

use crate::stage::*;
use anyhow::Result;
use k8s_openapi::api::coordination::v1::Lease;
use kube::Api;
use std::sync::Arc;
use std::time::Duration;
use test_cluster::{Cluster, Installation, Replica, eventually};

async fn holder(cluster: &Cluster) -> Result<String> {
    let leases: Api<Lease> = Api::namespaced(cluster.client(), "linkerd-failover");
    let lease = leases.get("linkerd-failover").await?;
    Ok(lease.spec.and_then(|spec| spec.holder_identity).unwrap_or_default())
}

async fn leader(cluster: &Cluster, installation: &Installation) -> Result<Arc<Replica>> {
    eventually("a running replica leads", PATIENCE, || async {
        let holder = holder(cluster).await?;
        let mut running = installation.replicas().iter().filter(|r| r.process().is_running());
        running
            .find(|r| r.name() == holder)
            .cloned()
            .ok_or_else(|| anyhow::anyhow!("held by {holder:?}"))
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn when_the_leader_dies_or_stops_the_other_replica_fails_over() -> Result<()> {
    let cluster = cluster().await?;
    let mut installation = install(&cluster, 2, &[]).await?;
    let (workload, _west) = emojivoto(&cluster).await?;
    workload.apply(&emoji()).await?;
    let splits = splits(&cluster, "emojivoto");
    wait_weights(&splits, "emoji", &[1.0, 0.0]).await?;

    // Both replicas serve a certificate of the same CA.
    let metrics = installation.replicas()[0].get("/metrics").await?;
    assert!(metric(&metrics, "linkerd_failover_webhook_certificate_expiry").is_some(), "{metrics}");

    let first = leader(&cluster, &installation).await?;
    first.process().kill()?;
    workload.scale("emoji", 0).await?;
    let split = wait_weights(&splits, "emoji", &[0.0, 1.0]).await?;
    let decided_by = state(&split).unwrap().by;
    assert_ne!(decided_by, first.name());

    // A graceful stop gives the Lease back, and ends with success.
    let third = installation.start_replica().await?;
    third.wait_ready(PATIENCE).await?;
    let second = leader(&cluster, &installation).await?;
    let exit = second.process().terminate(Duration::from_secs(30)).await?;
    assert_eq!(exit.status, Some(0));
    assert_ne!(holder(&cluster).await?, second.name());
    workload.scale("emoji", 1).await?;
    let split = wait_weights(&splits, "emoji", &[1.0, 0.0]).await?;
    assert_eq!(state(&split).unwrap().by, third.name());
    Ok(())
}
