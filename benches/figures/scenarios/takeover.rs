//! How long callers wait for a flip when the leader is killed at the very moment at which the primary
//! dies, so that a standby has to step in; and when it is stopped, so that it hands over.

use crate::support::bench::{PATIENCE, Site};
use crate::support::figures::{Name, alone};
use crate::support::pair::{admin, create};
use crate::support::subject::{FALLBACK, Named, Subject};
use anyhow::{Context, Result, ensure};
use bench_table::{Row, quantile};
use k8s_openapi::api::coordination::v1::Lease;
use kube::Api;
use kube::core::DynamicObject;
use linkerd_failover::kinds::traffic_split;
use serde_json::json;
use std::sync::Arc;
use std::time::{Duration, Instant};
use test_cluster::{Cluster, Installation, Replica, Workload, eventually};

const NAMESPACE: &str = "takeover";

pub(super) async fn measure(site: Site<'_>) -> Result<Vec<Row>> {
    let Site { options, cluster, installation } = site;
    let workload = Workload::new(cluster, NAMESPACE).await?;
    for service in ["primary", FALLBACK] {
        workload.service_with_slice(service, 1).await?;
    }
    let (name, apex) = ("split".into(), "primary".into());
    let named = Named { namespace: NAMESPACE, name, apex, primary: "primary" };
    let split = Subject::Split.manifest(&named, true);
    create(&admin(cluster).await?, &Subject::Split.within(NAMESPACE), split).await?;
    let resource = traffic_split::api_resource();
    let splits = Api::namespaced_with(cluster.client(), NAMESPACE, &resource);
    let mut rows = vec![];
    for (id, title, killed, seconds) in [
        ("takeover-killed", "flip, the leader killed as the primary dies", true, 12),
        ("takeover-stopped", "flip, the leader stopped as the primary dies", false, 4),
    ] {
        let mut took = vec![];
        for _ in options.budget(seconds, 3) {
            took.push(vec![round(&workload, installation, &splits, killed).await?]);
        }
        let longest = quantile(&mut took.concat(), 1.0).unwrap_or_default();
        let row = alone(Name::seconds(id, title), &took)?.note(format!("longest {longest:.2} s"));
        rows.push(if killed { row.aim(1.2) } else { row });
    }
    Ok(rows)
}

async fn round(
    workload: &Workload<'_>,
    installation: &Installation,
    splits: &Api<DynamicObject>,
    killed: bool,
) -> Result<f64> {
    wait_weights(splits, [1, 0]).await?;
    let leader = leader(workload.cluster(), installation).await?;
    // Long enough that nothing of the round before is fresh.
    tokio::time::sleep(Duration::from_secs(3)).await;
    let began = Instant::now();
    let flip = async {
        workload.set_ready("primary", 0).await?;
        wait_weights(splits, [0, 1]).await?;
        anyhow::Ok(began.elapsed())
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
    leader.restart().await?;
    leader.wait_ready(PATIENCE).await?;
    workload.set_ready("primary", 1).await?;
    Ok(flipped.as_secs_f64())
}

/// The replica that has the Lease, and runs.
pub(super) async fn leader(cluster: &Cluster, installation: &Installation) -> Result<Arc<Replica>> {
    let leases: Api<Lease> = Api::namespaced(cluster.client(), installation.namespace());
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
    loop {
        let split = splits.get("split").await?;
        let weight = |i: usize| &split.data["spec"]["backends"][i]["weight"];
        if (0..2).all(|i| *weight(i) == json!(wanted[i])) {
            return Ok(());
        }
        ensure!(
            Instant::now() < end,
            "the split has not the weights {wanted:?} after {PATIENCE:?}"
        );
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}
