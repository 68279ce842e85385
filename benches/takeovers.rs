//! `make bench`: how long callers wait for a flip when the leader goes at the very moment at which
//! the primary dies: killed, so that a standby has to step in, and stopped, so that it hands over.

mod support;

use anyhow::{Context, Result};
use k8s_openapi::api::coordination::v1::Lease;
use kube::Api;
use kube::core::DynamicObject;
use std::sync::Arc;
use std::time::{Duration, Instant};
use support::report::ms;
use support::splits;
use test_cluster::{Cluster, InstallOptions, Installation, Replica, Workload, eventually};

const PATIENCE: Duration = Duration::from_secs(60);
const ROUNDS: usize = 10;

#[tokio::main]
async fn main() -> Result<()> {
    let cluster = Cluster::start().await?;
    cluster.install_traffic_split_crd().await?;
    let options = InstallOptions { replicas: 2, ..support::options() };
    let installation = Installation::install(&cluster, options).await?;
    installation.wait_ready(PATIENCE).await?;
    let workload = Workload::new(&cluster, "takeover").await?;
    workload.service_with_slice("primary", 1).await?;
    workload.service_with_slice("fallback", 1).await?;
    let splits = splits::api(&cluster, "takeover");
    eventually("the split is admitted", PATIENCE, || async {
        let split = splits::split("split", "primary", ["primary", "fallback"]);
        splits::create(&splits, split).await
    })
    .await?;

    for (story, killed) in [("killed", true), ("stopped", false)] {
        let mut took = vec![];
        for _ in 0..ROUNDS {
            wait_weights(&splits, splits::wanted(1)).await?;
            let leader = leader(&cluster, &installation).await?;
            // Long enough that nothing of the round before is fresh.
            tokio::time::sleep(Duration::from_secs(3)).await;
            let began = Instant::now();
            let flip = async {
                workload.set_ready("primary", 0).await?;
                wait_weights(&splits, splits::wanted(0)).await?;
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

async fn wait_weights(splits: &Api<DynamicObject>, wanted: [u32; 2]) -> Result<()> {
    let end = Instant::now() + PATIENCE;
    while !splits::has_weights(&splits.get("split").await?, wanted) {
        anyhow::ensure!(Instant::now() < end, "the weights do not move");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    Ok(())
}
