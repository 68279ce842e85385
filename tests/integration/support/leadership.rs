//! Who holds the Lease.

use super::*;
use anyhow::{Context, Result};
use k8s_openapi::api::coordination::v1::Lease;
use kube::Api;
use std::sync::Arc;
use test_cluster::{Cluster, Installation, Replica, eventually};

async fn holder(cluster: &Cluster) -> Result<String> {
    let leases: Api<Lease> = Api::namespaced(cluster.client(), "linkerd-failover");
    let lease = leases.get("linkerd-failover").await?;
    Ok(lease.spec.and_then(|spec| spec.holder_identity).unwrap_or_default())
}

pub(crate) async fn leader(cluster: &Cluster, installation: &Installation) -> Result<Arc<Replica>> {
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

/// The replicas' first that is not this one.
pub(crate) fn other(installation: &Installation, than: &Replica) -> Result<Arc<Replica>> {
    let mut others = installation.replicas().iter().filter(|replica| replica.name() != than.name());
    others.next().cloned().context("there is no other replica")
}
