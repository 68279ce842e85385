//! A thousand pods that go at once.

use crate::support::deletion_guard::*;
use crate::support::*;
use anyhow::{Result, ensure};
use k8s_openapi::api::core::v1::Pod;
use kube::api::ListParams;
use std::time::Duration;
use test_cluster::{Replica, Workload, eventually, usage};

const SERVICES: usize = 20;
const PODS: usize = 25;
const UNRELATED: usize = 500;
/// kwok and the controllers have to make and end them all on a machine that does more than this.
const CROWD: Duration = Duration::from_secs(240);
/// The chart's default.
const BOUND: &str = "guard.bound=500ms";
/// A limit of the histogram twice as far: a busy machine wakes nobody on time.
const BEYOND_THE_BOUND: &str = "1.024";
/// Three times what a debug build needs.
const MOST_KILOBYTES: u64 = 90_000;

async fn wait_pods(workload: &Workload<'_>, wanted: usize) -> Result<()> {
    eventually(&format!("there are {wanted} pods, all ready or gone"), CROWD, || async {
        let pods = workload.api::<Pod>().list(&ListParams::default()).await?.items;
        let running = pods.iter().filter(|pod| {
            pod.status.as_ref().and_then(|status| status.phase.as_deref()) == Some("Running")
        });
        let running = running.count();
        ensure!(pods.len() == wanted && running == wanted, "{} pods, {running} run", pods.len());
        Ok(())
    })
    .await
}

/// The most memory that a replica has had.
fn peak_kilobytes(replica: &Replica) -> Result<u64> {
    Ok((usage::peak_memory(replica.process().pid())? * 1024.0) as u64)
}

/// How many deletions were delayed, and how many of them no longer than the bound.
fn delayed(metrics: &str) -> (f64, f64) {
    let count = sum_of_metric(metrics, "linkerd_failover_guard_seconds_count");
    let limit = format!("le=\"{BEYOND_THE_BOUND}\"");
    let within: String = metrics
        .lines()
        .filter(|line| line.contains(&limit))
        .map(|line| format!("{line}\n"))
        .collect();
    (count, sum_of_metric(&within, "linkerd_failover_guard_seconds_bucket"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_pods_go_at_once_none_held_up_beyond_the_bound_and_memory_stays_small()
-> Result<()> {
    let cluster = cluster().await?;
    let installation = install_guard(&cluster, 2, &[BOUND]).await?;
    let workload = guarded_namespace(&cluster, "emojivoto").await?;
    workload.service_with_slice("backup", 1).await?;
    for i in 0..SERVICES {
        let name = format!("app-{i}");
        workload.apply_deployment(&pods(&name).replicas(PODS)).await?;
        workload.apply(&manifest(&name, &format!("{name}-svc"), &["backup"])).await?;
    }
    workload.apply_deployment(&pods("unrelated").replicas(UNRELATED)).await?;
    wait_pods(&workload, SERVICES * PODS + UNRELATED).await?;
    let splits = splits(&cluster, "emojivoto");
    for i in 0..SERVICES {
        workload.wait_endpoints(&format!("app-{i}-svc"), PODS).await?;
        wait_weights(&splits, &format!("app-{i}"), &BACK).await?;
    }
    let mut peaks = vec![];
    for replica in installation.replicas() {
        peaks.push(peak_kilobytes(replica)?);
    }

    let without_before = went_on_without(&cluster).await?;
    let began = std::time::Instant::now();
    workload.kubectl(["scale", "deployment", "--all", "--replicas=0"]).ok().await?;
    wait_pods(&workload, 0).await?;
    println!("{} pods gone in {:?}", SERVICES * PODS + UNRELATED, began.elapsed());
    for i in 0..SERVICES {
        wait_weights(&splits, &format!("app-{i}"), &AWAY).await?;
    }
    for verdict in ["flipped", "no_flip", "unconcerned", "bound", "no_judge"] {
        println!("{verdict}: {}", verdicts(&installation, verdict).await?);
    }
    let mut announced = 0.0;
    for (replica, before) in installation.replicas().iter().zip(peaks) {
        let peak = peak_kilobytes(replica)?;
        println!("{}: {before} kB before, {peak} kB at most", replica.name());
        ensure!(peak < MOST_KILOBYTES, "{}: {before} kB, then {peak} kB", replica.name());
        let (count, within) = delayed(&replica.get("/metrics").await?);
        ensure!(count == within, "{count} deletions, {within} of them in {BEYOND_THE_BOUND} s");
        announced += count;
    }
    let without = went_on_without(&cluster).await? - without_before;
    println!("{announced} deletions announced, {without} the API server went on without");
    ensure!(announced > (SERVICES * PODS) as f64, "only {announced} deletions were announced");
    ensure!(without < announced / 10.0, "{without} of {announced} were not answered in time");
    Ok(())
}
