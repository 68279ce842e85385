//! 10,000 splits on one primary, in a cluster with as many other Services.

use super::{commands, memory};
use crate::support::bench::Bench;
use crate::support::figures::{Name, beside};
use crate::support::options::Options;
use crate::support::pair::{Contents, Pair, admin, create};
use anyhow::Result;
use bench_table::Row;
use futures::{StreamExt, TryStreamExt, stream};
use serde_json::json;
use test_cluster::{Cluster, Workload};

pub(super) const OBJECTS: usize = 10_000;
const SERVICES: usize = 10_000;
/// Of these with a slice.
const WITH_SLICE: usize = 200;
const SCENARIOS: [&str; 3] = ["memory", "fan-out-10000", "commands-10000"];
const WITHOUT_GUARD: &str = "guard.enabled=false";

pub(crate) async fn run(bench: &mut Bench) -> Result<()> {
    if !bench.wants_any(&SCENARIOS, true) {
        return Ok(());
    }
    let cluster = Cluster::start().await?;
    cluster.install_traffic_split_crd().await?;
    let options = bench.options();
    // All are measured in one: it takes long enough to make the objects.
    let measured = measure(&options, &cluster);
    let wanted = SCENARIOS.into_iter().find(|name| options.wants(name, true));
    bench.scenario(wanted.unwrap_or("memory"), measured).await;
    cluster.stop().await
}

async fn measure(options: &Options, cluster: &Cluster) -> Result<Vec<Row>> {
    crowd(cluster).await?;
    let installation = options.install(cluster, &[WITHOUT_GUARD], 1).await?;
    let contents = Contents::splits("k10", OBJECTS);
    let mut pair = Pair::new(cluster, &installation, contents).await?;
    let mut rows = commands::rows(options, cluster).await?;
    if ["memory", "fan-out-10000"].iter().all(|name| !options.wants(name, true)) {
        return Ok(rows);
    }
    let plain = memory::after_start(&installation.replicas()[0]).await?;
    let title = "memory after start, 10,000 splits and 10,200 Services";
    rows.push(memory::row("memory-start", title, &plain, 35.0)?);
    drop(installation);

    let installation = options.install(cluster, &[], 1).await?;
    let replica = &installation.replicas()[0];
    let guarded = memory::after_start(replica).await?;
    let title = "the same with the guard, before a deletion is announced";
    rows.push(memory::row("memory-start-guard", title, &guarded, 35.0)?);
    pair.watch_over(&installation);
    let mut rounds = vec![pair.round(0).await?, pair.round(1).await?];
    let after = memory::now(replica).await?;
    let title = "memory after two fan-outs over all, with the guard";
    rows.push(memory::row("memory-fan-outs-guard", title, &[after], 40.0)?);
    for round in options.budget(16, 1) {
        rounds.push(pair.round(round + 2).await?);
    }
    let name = Name::seconds("fan-out-10000", "10,000 splits on one primary");
    rows.push(beside(name, &rounds, 0.5)?.aim(1.15));
    Ok(rows)
}

/// Services that nobody asks about.
async fn crowd(cluster: &Cluster) -> Result<()> {
    let workload = Workload::new(cluster, "crowd").await?;
    let client = &admin(cluster).await?;
    let made = (0..SERVICES).map(|i| async move {
        let service = json!({"metadata": {"name": format!("service-{i}")},
            "spec": {"clusterIP": "None", "ports": [{"name": "grpc", "port": 8080}]}});
        create(client, "/api/v1/namespaces/crowd/services", service).await
    });
    stream::iter(made).buffer_unordered(32).try_collect::<()>().await?;
    for i in 0..WITH_SLICE {
        workload.service_with_slice(&format!("with-slice-{i}"), 1).await?;
    }
    Ok(())
}
