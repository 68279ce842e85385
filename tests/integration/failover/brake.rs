//! The brake, over all replicas: what one of them holds no other moves.

use crate::support::*;
use anyhow::{Context, Result, ensure};
use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::Lease;
use kube::{Api, ResourceExt};
use serde_json::Value;
use std::ops::Range;
use std::time::Duration;
use test_cluster::{Cluster, Replica, Workload, eventually};

const SPLITS: usize = 40;
/// So many of them may move at once: 10%.
const SHARE: usize = 4;
/// Losses within this time are taken together; after it a share is there again, unless the brake holds.
const WINDOW: Duration = Duration::from_secs(11);

fn primary(i: usize) -> String {
    format!("primary-{i:02}")
}

/// Forty splits, each with a primary of its own.
async fn splits_of_their_own(workload: &Workload<'_>) -> Result<()> {
    workload.service_with_slice("backup", 1).await?;
    for i in 0..SPLITS {
        workload.service_with_slice(&primary(i), 1).await?;
    }
    let manifests: Vec<_> =
        (0..SPLITS).map(|i| manifest(&primary(i), &primary(i), &["backup"])).collect();
    workload.apply(&manifests.join("---\n")).await?;
    let splits = splits(workload.cluster(), workload.namespace());
    for i in 0..SPLITS {
        wait_weights(&splits, &primary(i), &[1.0, 0.0]).await?;
    }
    Ok(())
}

async fn set_ready(workload: &Workload<'_>, which: Range<usize>, ready: usize) -> Result<()> {
    // All within a moment, on a busy machine too: the brake counts those of ten seconds together.
    let names: Vec<_> = which.map(primary).collect();
    let writes = names.iter().map(|name| workload.set_ready(name, ready));
    futures::future::try_join_all(writes).await.map(drop)
}

/// How many have left their primary.
async fn moved(cluster: &Cluster) -> Result<usize> {
    let list = splits(cluster, "emojivoto").list(&Default::default()).await?;
    Ok(list.items.iter().filter(|split| weights(split) == [0.0, 1.0]).count())
}

async fn wait_moved(cluster: &Cluster, wanted: usize) -> Result<()> {
    eventually(&format!("{wanted} have moved"), PATIENCE, || async {
        let moved = moved(cluster).await?;
        ensure!(moved == wanted, "{moved}");
        Ok(())
    })
    .await
}

/// No more of them moves, for longer than losses are taken together.
async fn no_more_moves(cluster: &Cluster, after: &str) -> Result<()> {
    tokio::time::sleep(WINDOW).await;
    let moved = moved(cluster).await?;
    ensure!(moved == SHARE, "{moved} moved after {after}");
    Ok(())
}

async fn record(cluster: &Cluster) -> Result<Value> {
    let leases: Api<Lease> = Api::namespaced(cluster.client(), "linkerd-failover");
    let lease = leases.get("linkerd-failover").await?;
    let text = lease.annotations().get("failover.linkerd.io/brake").context("no record")?;
    Ok(serde_json::from_str(text)?)
}

/// Waits until the hold is on record as ended, by a person or by itself: it is written after the fact.
async fn wait_over(cluster: &Cluster, by_a_person: bool) -> Result<()> {
    eventually("the hold has ended on record", PATIENCE, || async {
        let record = record(cluster).await?;
        ensure!(record["ended"].is_string(), "{record}");
        ensure!(record["released"].is_string() == by_a_person, "{record}");
        Ok(())
    })
    .await
}

async fn wait_engaged(replica: &Replica, engaged: f64) -> Result<()> {
    wait_metric(replica, "linkerd_failover_brake_engaged", engaged).await
}

#[tokio::test(flavor = "multi_thread")]
async fn neither_a_standby_nor_a_new_leader_nor_a_broken_watch_moves_what_the_brake_holds()
-> Result<()> {
    let cluster = cluster().await?;
    let mut installation = install(&cluster, 2, &["brake=10"]).await?;
    let workload = Workload::new(&cluster, "emojivoto").await?;
    splits_of_their_own(&workload).await?;

    // As many as may go, and as many again, which the standby alone would let go.
    set_ready(&workload, 0..SHARE, 0).await?;
    wait_moved(&cluster, SHARE).await?;
    set_ready(&workload, SHARE..2 * SHARE, 0).await?;
    for replica in installation.replicas() {
        wait_engaged(replica, 1.0).await?;
    }
    no_more_moves(&cluster, "a while with a standby").await?;
    let since = record(&cluster).await?["since"].clone();
    set_ready(&workload, 2 * SHARE..SPLITS, 0).await?;

    let dead = leader(&cluster, &installation).await?;
    let new = other(&installation, &dead)?;
    dead.process().kill()?;
    wait_metric(&new, "linkerd_failover_leader", 1.0).await?;
    no_more_moves(&cluster, "a change of leaders").await?;

    cluster.stop_api_server(true).await?;
    cluster.start_api_server().await?;
    new.wait_ready(PATIENCE).await?;
    no_more_moves(&cluster, "an interruption of all watches").await?;

    // Nobody is left that has seen anything of it.
    new.restart().await?;
    new.wait_ready(PATIENCE).await?;
    let third = installation.start_replica().await?;
    third.wait_ready(PATIENCE).await?;
    no_more_moves(&cluster, "a start of replicas that know nothing").await?;
    wait_metric(&new, "linkerd_failover_brake_held_objects", (SPLITS - SHARE) as f64).await?;
    let holds = record(&cluster).await?;
    assert_eq!((&holds["since"], &holds["ended"]), (&since, &Value::Null), "{holds}");

    let release = format!("failover.linkerd.io/brake-released={}", Timestamp::now());
    cluster.kubectl(["annotate", "namespace", "linkerd-failover", &release]).ok().await?;
    wait_moved(&cluster, SPLITS).await?;
    for replica in [&new, &third] {
        wait_engaged(replica, 0.0).await?;
    }
    wait_over(&cluster, true).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_lease_a_restart_forgets_no_hold_and_what_vanished_does_not_keep_it() -> Result<()>
{
    let cluster = cluster().await?;
    let installation = install(&cluster, 1, &["brake=10", "lease=false", "replicas=1"]).await?;
    let workload = Workload::new(&cluster, "emojivoto").await?;
    splits_of_their_own(&workload).await?;
    let replica = &installation.replicas()[0];

    // As many as may go, and then all others: were all lost at once, none of them might.
    set_ready(&workload, 0..SHARE, 0).await?;
    wait_moved(&cluster, SHARE).await?;
    set_ready(&workload, SHARE..SPLITS, 0).await?;
    wait_engaged(replica, 1.0).await?;
    eventually("the hold is on record", PATIENCE, || record(&cluster)).await?;
    replica.restart().await?;
    replica.wait_ready(PATIENCE).await?;
    wait_engaged(replica, 1.0).await?;
    no_more_moves(&cluster, "a restart").await?;

    // All are back but some that vanish while nothing is watched.
    cluster.stop_api_server(true).await?;
    cluster.start_api_server().await?;
    replica.wait_ready(PATIENCE).await?;
    let list = splits(&cluster, "emojivoto").list(&Default::default()).await?;
    let on_primary: Vec<_> =
        list.items.iter().filter(|split| weights(split) == [1.0, 0.0]).collect();
    for split in &on_primary[..3] {
        workload.kubectl(["delete", "trafficsplit", &split.name_any()]).ok().await?;
    }
    for split in &on_primary[3..] {
        workload.set_ready(&split.name_any(), 1).await?;
    }
    wait_engaged(replica, 0.0).await?;
    wait_over(&cluster, false).await?;
    Ok(())
}
