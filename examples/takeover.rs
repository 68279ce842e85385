//! `make bench`: how long callers wait for a flip when the leader goes at the very moment at which
//! the primary dies: killed, so that a standby has to step in, and stopped, so that it hands over.

use anyhow::{Context, Result};
use k8s_openapi::api::coordination::v1::Lease;
use kube::Api;
use kube::api::PostParams;
use kube::core::DynamicObject;
use linkerd_failover::kinds::traffic_split;
use serde_json::json;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};
use test_cluster::{Cluster, InstallOptions, Installation, Replica, Workload, eventually};

const PATIENCE: Duration = Duration::from_secs(60);
const ROUNDS: usize = 10;

#[tokio::main]
async fn main() -> Result<()> {
    let cluster = Cluster::start().await?;
    cluster.install_traffic_split_crd().await?;
    let options = InstallOptions {
        replicas: 2,
        binary: std::env::var_os("LINKERD_FAILOVER_BIN")
            .map_or_else(Installation::built_binary, PathBuf::from),
        ..InstallOptions::default()
    };
    let installation = Installation::install(&cluster, options).await?;
    installation.wait_ready(PATIENCE).await?;
    let workload = Workload::new(&cluster, "takeover").await?;
    workload.service_with_slice("primary", 1).await?;
    workload.service_with_slice("fallback", 1).await?;
    let splits: Api<DynamicObject> =
        Api::namespaced_with(cluster.client(), "takeover", &traffic_split::api_resource());
    create(&splits).await?;

    for (story, killed) in [("killed", true), ("stopped", false)] {
        let mut took = vec![];
        for _ in 0..ROUNDS {
            wait_primary_weight(&splits, 1).await?;
            let leader = leader(&cluster, &installation).await?;
            // Long enough that nothing of the round before is fresh.
            tokio::time::sleep(Duration::from_secs(3)).await;
            let began = Instant::now();
            let flip = async {
                workload.set_ready("primary", 0).await?;
                wait_primary_weight(&splits, 0).await?;
                Ok::<_, anyhow::Error>(began.elapsed())
            };
            let process = leader.process();
            let end = async {
                match killed {
                    true => process.kill()?,
                    false => drop(process.terminate(PATIENCE).await?),
                }
                process.wait_exit(PATIENCE).await
            };
            let (_, flipped) = tokio::try_join!(end, flip)?;
            took.push(flipped);
            leader.restart().await?;
            leader.wait_ready(PATIENCE).await?;
            workload.set_ready("primary", 1).await?;
        }
        took.sort_unstable();
        let ms = |took: Duration| took.as_secs_f64() * 1e3;
        println!(
            "leader {story} as the primary dies, {ROUNDS} times: median {:.0} ms, longest {:.0} ms",
            ms(took[ROUNDS / 2]),
            ms(took[ROUNDS - 1])
        );
    }
    drop(installation);
    cluster.stop().await
}

async fn leader(cluster: &Cluster, installation: &Installation) -> Result<Arc<Replica>> {
    let leases: Api<Lease> = Api::namespaced(cluster.client(), "linkerd-failover");
    eventually("a running replica leads", PATIENCE, || async {
        let lease = leases.get("linkerd-failover").await?;
        let holder = lease.spec.and_then(|spec| spec.holder_identity).unwrap_or_default();
        let leads = |r: &&Arc<Replica>| r.name() == holder && r.process().is_running();
        installation.replicas().iter().find(leads).cloned().context("nobody yet")
    })
    .await
}

async fn wait_primary_weight(splits: &Api<DynamicObject>, wanted: u32) -> Result<()> {
    let end = Instant::now() + PATIENCE;
    loop {
        let split = splits.get("split").await?;
        if split.data["spec"]["backends"][0]["weight"] == json!(wanted) {
            return Ok(());
        }
        anyhow::ensure!(Instant::now() < end, "the weights do not move");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

async fn create(splits: &Api<DynamicObject>) -> Result<()> {
    let split = serde_json::from_value(json!({
        "apiVersion": "split.smi-spec.io/v1alpha2", "kind": "TrafficSplit",
        "metadata": {
            "name": "split", "labels": {"failover.linkerd.io/controlled-by": "linkerd-failover"},
        },
        "spec": {"service": "primary", "backends": [
            {"service": "primary", "weight": 1}, {"service": "fallback", "weight": 0},
        ]},
    }))?;
    eventually("the split is taken", PATIENCE, || async {
        splits.create(&PostParams::default(), &split).await?;
        Ok::<_, anyhow::Error>(())
    })
    .await
}
