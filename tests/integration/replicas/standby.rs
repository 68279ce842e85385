//! Several replicas: one acts, another steps in, none fights.

use crate::support::*;
use anyhow::Result;
use futures::{Stream, StreamExt};
use kube::api::{WatchEvent, WatchParams};
use kube::core::DynamicObject;
use kube::{Api, ResourceExt};
use std::time::Duration;
use test_cluster::{ApiProxy, Installation};

/// Every change of weights of a split, as a watcher sees it.
async fn changes_of_weights(
    splits: &Api<DynamicObject>,
    name: &str,
) -> Result<impl Stream<Item = (Vec<f64>, String)> + use<>> {
    let split = splits.get(name).await?;
    let version = split.resource_version().unwrap_or_default();
    let params = WatchParams::default().fields(&format!("metadata.name={name}"));
    let events = splits.watch(&params, &version).await?.boxed();
    let mut last = weights(&split);
    Ok(events.filter_map(move |event| {
        let Ok(WatchEvent::Modified(split)) = event else { return std::future::ready(None) };
        let changed = weights(&split) != last;
        last = weights(&split);
        let by = state(&split).map(|state| state.by).unwrap_or_default();
        std::future::ready(changed.then(|| (last.clone(), by)))
    }))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_standby_flips_while_the_lease_still_names_a_leader_that_was_killed() -> Result<()> {
    let cluster = cluster().await?;
    let mut installation = install(&cluster, 2, &[]).await?;
    let (workload, _west, splits) = emojivoto_with_split(&cluster).await?;

    // Both replicas serve a certificate of the same CA.
    let metrics = installation.replicas()[0].get("/metrics").await?;
    assert!(metric(&metrics, "linkerd_failover_webhook_certificate_expiry").is_some(), "{metrics}");

    let dead = leader(&cluster, &installation).await?;
    let standby = other(&installation, &dead)?;
    dead.process().kill()?;
    let lease = RenewedLease::of_the_dead(&cluster);
    workload.scale("emoji", 0).await?;
    let split = wait_weights(&splits, "emoji", &[0.0, 1.0]).await?;
    assert_eq!(state(&split).unwrap().by, standby.name());
    // Had it waited for the Lease, this would be 0.
    wait_metric(&standby, "linkerd_failover_rescues_total", 1.0).await?;
    assert_eq!(holder(&cluster).await?, dead.name());
    drop(lease);
    wait_metric(&standby, "linkerd_failover_leader", 1.0).await?;

    // What a standby must not do, the new leader does: traffic returns.
    let third = installation.start_replica().await?;
    third.wait_ready(PATIENCE).await?;
    workload.scale("emoji", 1).await?;
    let split = wait_weights(&splits, "emoji", &[1.0, 0.0]).await?;
    assert_eq!(state(&split).unwrap().by, standby.name());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_graceful_stop_hands_over_so_that_nobody_has_to_step_in() -> Result<()> {
    let cluster = cluster().await?;
    let installation = install(&cluster, 2, &[]).await?;
    let (workload, _west, splits) = emojivoto_with_split(&cluster).await?;

    let first = leader(&cluster, &installation).await?;
    let second = other(&installation, &first)?;
    let exit = first.process().terminate(Duration::from_secs(30)).await?;
    assert_eq!(exit.status, Some(0));
    // The Lease is given back, not left to expire.
    assert_ne!(holder(&cluster).await?, first.name());
    wait_metric(&second, "linkerd_failover_leader", 1.0).await?;
    workload.scale("emoji", 0).await?;
    let split = wait_weights(&splits, "emoji", &[0.0, 1.0]).await?;
    assert_eq!(state(&split).unwrap().by, second.name());
    // It held the Lease when it flipped: a standby's flip would be counted.
    wait_metric(&second, "linkerd_failover_rescues_total", 0.0).await?;
    Ok(())
}

/// Two plain loops with a second's patience and one frozen cache wrote 23 times in 20 s.
async fn frozen_slices(frozen_leads: bool, lists_too: bool) -> Result<()> {
    let cluster = cluster().await?;
    let mut installation = Installation::install(&cluster, options(0, &[])).await?;
    let proxy = ApiProxy::start(&cluster)?;
    let (workload, _west) = emojivoto(&cluster).await?;
    // Who starts first leads.
    let frozen = if frozen_leads {
        let frozen = installation.start_replica_through(&proxy).await?;
        frozen.wait_ready(PATIENCE).await?;
        leader(&cluster, &installation).await?;
        installation.start_replica().await?;
        frozen
    } else {
        installation.start_replica().await?.wait_ready(PATIENCE).await?;
        leader(&cluster, &installation).await?;
        installation.start_replica_through(&proxy).await?
    };
    installation.wait_ready(PATIENCE).await?;
    workload.apply(&emoji()).await?;
    let splits = splits(&cluster, "emojivoto");
    wait_weights(&splits, "emoji", &[1.0, 0.0]).await?;

    let slices = "/endpointslices";
    if lists_too {
        proxy.freeze(slices);
    } else {
        proxy.freeze_watches(slices);
    }
    let mut changes = Box::pin(changes_of_weights(&splits, "emoji").await?);
    workload.scale("emoji", 0).await?;
    wait_weights(&splits, "emoji", &[0.0, 1.0]).await?;
    // Long enough for a fight to show itself; a busy machine only makes it shorter.
    let mut seen = vec![];
    let window = tokio::time::sleep(Duration::from_secs(20));
    tokio::pin!(window);
    loop {
        tokio::select! {
            Some(change) = changes.next() => seen.push(change),
            () = &mut window => break,
        }
    }
    assert_eq!(seen.len(), 1, "{} against the other: {seen:?}", frozen.name());
    assert_ne!(seen[0].1, frozen.name());

    // Thawed, it takes part again.
    proxy.thaw();
    workload.scale("emoji", 1).await?;
    wait_weights(&splits, "emoji", &[1.0, 0.0]).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leader_whose_watch_is_frozen_does_not_fight_the_standby_that_sees() -> Result<()> {
    frozen_slices(true, false).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leader_that_can_read_no_slices_at_all_does_not_fight_either() -> Result<()> {
    frozen_slices(true, true).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_standby_whose_watch_is_frozen_does_not_fight_the_leader() -> Result<()> {
    frozen_slices(false, false).await
}

#[tokio::test(flavor = "multi_thread")]
async fn through_a_rolling_upgrade_two_engine_versions_write_no_more_than_one_would() -> Result<()>
{
    let cluster = cluster().await?;
    let mut installation = install(&cluster, 1, &[]).await?;
    let (workload, _west, splits) = emojivoto_with_split(&cluster).await?;
    let mut changes = Box::pin(changes_of_weights(&splits, "emoji").await?);

    let old = leader(&cluster, &installation).await?;
    let newer = [("LINKERD_FAILOVER_ENGINE_VERSION", "99.0.0")];
    let new = installation.start_replica_with(&newer).await?;
    new.wait_ready(PATIENCE).await?;
    // The old one flips, the new one takes over in the middle and brings traffic back.
    workload.scale("emoji", 0).await?;
    wait_weights(&splits, "emoji", &[0.0, 1.0]).await?;
    old.process().terminate(Duration::from_secs(30)).await?;
    workload.scale("emoji", 1).await?;
    let split = wait_weights(&splits, "emoji", &[1.0, 0.0]).await?;
    assert_eq!(state(&split).unwrap().engine, "99.0.0");

    // And back: the upgrade is rolled back while the newer one's decision is fresh.
    let back = installation.start_replica().await?;
    back.wait_ready(PATIENCE).await?;
    new.process().terminate(Duration::from_secs(30)).await?;
    workload.scale("emoji", 0).await?;
    let split = wait_weights(&splits, "emoji", &[0.0, 1.0]).await?;
    assert_eq!(state(&split).unwrap().by, back.name());

    let mut seen = vec![];
    while seen.len() < 3 {
        let next = tokio::time::timeout(PATIENCE, changes.next()).await?;
        seen.push(next.map(|(weights, _)| weights).unwrap_or_default());
    }
    assert_eq!(seen, [[0.0, 1.0], [1.0, 0.0], [0.0, 1.0]]);
    Ok(())
}
