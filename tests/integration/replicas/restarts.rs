//! Replicas come and go: admission does not notice, and a stop has its order.

use crate::support::admission_load::Load;
use crate::support::*;
use anyhow::{Context, Result, ensure};
use futures::StreamExt;
use k8s_openapi::api::coordination::v1::Lease;
use kube::Api;
use kube::api::{WatchEvent, WatchParams};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};
use test_cluster::{Cluster, Installation, Replica, eventually};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;

/// Forty times what the stand-in for kube-proxy needs to see that a replica is no longer ready.
const DRAIN: &str = "4s";
/// Long enough for a flip on a busy machine: `20s`.
const LONG_DRAIN: Duration = Duration::from_secs(20);
const ROUNDS: usize = 2;
const STOP: Duration = Duration::from_secs(40);

/// Two replicas, both webhooks with failurePolicy Fail: a call that fails is an apply that fails.
async fn two_replicas(cluster: &Cluster) -> Result<Installation> {
    let options = options(0, &["webhook.failurePolicy.mutating=Fail"]);
    let mut installation = Installation::install(cluster, options).await?;
    for _ in 0..2 {
        installation.start_replica_with(&[("LINKERD_FAILOVER_DRAIN", DRAIN)]).await?;
    }
    installation.wait_ready(PATIENCE).await?;
    wait_webhook(cluster).await?;
    Ok(installation)
}

/// The reviews that a replica has answered since it was started.
async fn admissions(replica: &Replica) -> Result<f64> {
    Ok(sum_of_metric(&replica.get("/metrics").await?, "linkerd_failover_admissions_total"))
}

#[tokio::test(flavor = "multi_thread")]
async fn restarting_every_replica_in_turn_fails_no_admission() -> Result<()> {
    let cluster = cluster().await?;
    let installation = two_replicas(&cluster).await?;
    let (_workload, _west) = emojivoto(&cluster).await?;
    let load = Load::start(&splits(&cluster, "emojivoto"));
    let mut interrupted = 0;
    for _ in 0..ROUNDS {
        for replica in installation.replicas() {
            wait_for_creates(&load).await?;
            interrupted += usize::from(admissions(replica).await? > 0.0);
            let before = load.created();
            let exit = replica.process().terminate(STOP).await?;
            ensure!(exit.status == Some(0), "{exit}");
            ensure!(load.created() > before, "nothing was created while it stopped");
            replica.restart().await?;
            replica.wait_ready(PATIENCE).await?;
        }
    }
    wait_for_creates(&load).await?;
    let (admitted, failed) = load.end().await?;
    println!(
        "{admitted} creates over {ROUNDS} rounds, {interrupted} of {} restarts of a replica that had answered: {} failed",
        2 * ROUNDS,
        failed.len()
    );
    ensure!(failed.is_empty(), "{} failed, first {:?}", failed.len(), failed.first());
    ensure!(interrupted >= 2, "hardly any replica was in use when it was restarted");
    Ok(())
}

/// So many that each replica which is connected has answered some.
async fn wait_for_creates(load: &Load) -> Result<()> {
    let before = load.created();
    eventually("the load goes on", PATIENCE, || async {
        ensure!(load.created() > before + 40, "{before}, then {}", load.created());
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_that_stops_serves_on_goes_on_leading_and_gives_the_lease_back_last() -> Result<()>
{
    let cluster = cluster().await?;
    let mut installation = Installation::install(&cluster, options(0, &[])).await?;
    let replica = installation.start_replica_with(&[("LINKERD_FAILOVER_DRAIN", "20s")]).await?;
    installation.wait_ready(PATIENCE).await?;
    let (workload, _west) = emojivoto(&cluster).await?;
    let splits = splits(&cluster, "emojivoto");
    workload.apply(&emoji()).await?;
    wait_weights(&splits, "emoji", &[1.0, 0.0]).await?;
    let leases: Api<Lease> = Api::namespaced(cluster.client(), "linkerd-failover");
    let released = watch_release(&leases, replica.webhook_addr()).await?;

    let process = replica.process();
    let began = Instant::now();
    let ending = tokio::spawn(async move { process.terminate(STOP).await });
    eventually("no longer ready", PATIENCE, || async {
        let answer = replica.get("/ready").await;
        ensure!(answer.is_err_and(|e| e.to_string().contains("stopping")), "still ready");
        Ok(())
    })
    .await?;
    let unready = began.elapsed();

    // It leads and writes on.
    workload.scale("emoji", 0).await?;
    let split = wait_weights(&splits, "emoji", &[0.0, 1.0]).await?;
    assert_eq!(state(&split).context("no state")?.by, replica.name());
    ensure!(began.elapsed() < LONG_DRAIN, "the machine is too slow for this test");

    // The webhook is closed after the drain, and before the Lease is given back.
    let address = replica.webhook_addr();
    while TcpStream::connect(address).await.is_ok() {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    let closed = began.elapsed();
    let (released, was_closed) = tokio::time::timeout(PATIENCE, released).await???;
    let released = released - began;
    let exit = ending.await??;
    assert_eq!(exit.status, Some(0));
    let seen = format!(
        "after SIGTERM: unready {unready:.1?}, closed {closed:.1?}, Lease given back {released:.1?}, ended {:.1?}",
        began.elapsed()
    );
    println!("{seen}");
    ensure!(unready < LONG_DRAIN / 2, "{seen}");
    ensure!(closed >= LONG_DRAIN && released > LONG_DRAIN, "{seen}");
    ensure!(was_closed, "the webhook was open still when the Lease was given back: {seen}");
    Ok(())
}

/// The moment at which the Lease is given back, and whether nobody listened at `webhook` then.
async fn watch_release(
    leases: &Api<Lease>,
    webhook: SocketAddr,
) -> Result<JoinHandle<Result<(Instant, bool)>>> {
    let lease = leases.get("linkerd-failover").await?;
    let version = lease.metadata.resource_version.unwrap_or_default();
    let mut events = leases.watch(&WatchParams::default(), &version).await?.boxed();
    Ok(tokio::spawn(async move {
        while let Some(event) = events.next().await {
            let WatchEvent::Modified(lease) = event? else { continue };
            let holder = lease.spec.and_then(|spec| spec.holder_identity).unwrap_or_default();
            if holder.is_empty() {
                let released = Instant::now();
                return Ok((released, TcpStream::connect(webhook).await.is_err()));
            }
        }
        anyhow::bail!("the watch ended")
    }))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_sigterm_ends_the_drain() -> Result<()> {
    let cluster = cluster().await?;
    let mut installation = Installation::install(&cluster, options(0, &[])).await?;
    let replica: Arc<Replica> =
        installation.start_replica_with(&[("LINKERD_FAILOVER_DRAIN", "1h")]).await?;
    installation.wait_ready(PATIENCE).await?;
    let process = replica.process();
    ensure!(process.terminate(Duration::from_secs(1)).await.is_err(), "it did not drain");
    let exit = process.terminate(STOP).await?;
    assert_eq!(exit.status, Some(0));
    Ok(())
}
