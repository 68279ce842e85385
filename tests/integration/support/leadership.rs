//! Who holds the Lease.

use super::*;
use anyhow::{Context, Result};
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use kube::Api;
use kube::api::{Patch, PatchParams};
use serde_json::json;
use std::sync::Arc;
use std::time::Duration;
use test_cluster::{Cluster, Installation, Replica, eventually};
use tokio::task::JoinHandle;

fn leases(cluster: &Cluster) -> Api<Lease> {
    Api::namespaced(cluster.client(), "linkerd-failover")
}

/// The name of the replica that the Lease names; empty where it names none.
pub(crate) async fn holder(cluster: &Cluster) -> Result<String> {
    let lease = leases(cluster).get("linkerd-failover").await?;
    Ok(lease.spec.and_then(|spec| spec.holder_identity).unwrap_or_default())
}

/// Renews the Lease in the place of a leader that was killed, until it is dropped: on a busy machine
/// a Lease expires before a loss is seen.
pub(crate) struct RenewedLease(JoinHandle<()>);

impl RenewedLease {
    pub(crate) fn of_the_dead(cluster: &Cluster) -> Self {
        let leases = leases(cluster);
        Self(tokio::spawn(async move {
            loop {
                let now = MicroTime(jiff::Timestamp::now());
                let renewal = Patch::Merge(json!({"spec": {"renewTime": now}}));
                let _ = leases.patch("linkerd-failover", &PatchParams::default(), &renewal).await;
                tokio::time::sleep(Duration::from_millis(500)).await;
            }
        }))
    }
}

impl Drop for RenewedLease {
    fn drop(&mut self) {
        self.0.abort();
    }
}

pub(crate) async fn leader(cluster: &Cluster, installation: &Installation) -> Result<Arc<Replica>> {
    eventually("a running replica leads", PATIENCE, || async {
        let holder = holder(cluster).await?;
        let mut running = installation.replicas().iter().filter(|r| r.process().is_running());
        running
            .find(|r| r.name() == holder)
            .cloned()
            .ok_or_else(|| anyhow::anyhow!("the holder is {holder:?}"))
    })
    .await
}

/// The replicas' first that is not this one.
pub(crate) fn other(installation: &Installation, than: &Replica) -> Result<Arc<Replica>> {
    let mut others = installation.replicas().iter().filter(|replica| replica.name() != than.name());
    others.next().cloned().context("there is no other replica")
}
