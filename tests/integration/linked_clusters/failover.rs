//! The main job across two clusters, by each of the ways in which Linkerd lets one reach the other.

use crate::support::linked_clusters::*;
use crate::support::*;
use anyhow::Result;
use jiff::Timestamp;
use k8s_openapi::api::discovery::v1::EndpointSlice;
use kube::api::{Api, ListParams};
use kube::core::DynamicObject;
use serde_json::json;
use std::time::{Duration, Instant};
use test_cluster::eventually;

const WAYS: [(&str, &str); 3] = [
    ("gateway", "emoji-gateway-svc-west"),
    ("discovery", "emoji-svc-west"),
    ("federated", "emoji-svc-federated"),
];

#[tokio::test(flavor = "multi_thread")]
async fn traffic_goes_west_when_east_dies_stays_when_both_have_and_comes_back() -> Result<()> {
    let (east, west) = east_and_west().await?;
    let link = link(&east, &west).await?;
    let installation = install(&east, 2, &[CREDENTIALS]).await?;
    let (here, there) = (emoji_in(&east).await?, emoji_in(&west).await?);
    let gateway = here.mirror("emoji-gateway-svc", "west").await?;
    let _service_mirror = gateway.follow(&there, "emoji-svc");
    here.discovery_mirror("emoji-svc", "west").await?;
    here.federate("emoji-svc", &["west"]).await?;
    for (way, fallback) in WAYS {
        here.apply(&split(way, &[fallback])).await?;
    }
    let splits = splits(&east, "emojivoto");
    // Each replica looks for itself.
    for replica in installation.replicas() {
        wait_reachable(replica, Some(1.0)).await?;
    }

    // West being reachable does not say that each of its Services has been listed: traffic may move
    // to one whose health is not known yet, and rightly so. Then it is done once more.
    for attempt in 0.. {
        here.scale("emoji", 0).await?;
        let mut not_known = vec![];
        for (way, fallback) in WAYS {
            let moved = wait_weights(&splits, way, &[0.0, 1.0]).await?;
            let why = state(&moved).unwrap().sets[""].why.clone();
            if !why.contains(&format!("{fallback}: 1 of")) {
                not_known.push(format!("{way}: {why}"));
            }
        }
        if not_known.is_empty() {
            break;
        }
        anyhow::ensure!(attempt < 5, "{not_known:?}");
        here.scale("emoji", 1).await?;
        for (way, _) in WAYS {
            wait_weights(&splits, way, &[1.0, 0.0]).await?;
        }
    }

    // Neither is ready: the weights stay, and a person who asks is warned.
    there.scale("emoji", 0).await?;
    there.wait_endpoints("emoji-svc", 0).await?;
    for (way, fallback) in WAYS {
        eventually(
            &format!("{way}: the webhook knows that nothing is ready"),
            PATIENCE,
            || async {
                let annotate = ["annotate", "--overwrite", "trafficsplit", way, "note=x"];
                let dry = here.kubectl(annotate).args(["--dry-run=server"]).output().await?;
                let known = dry.stderr.contains(&format!("{fallback}: no endpoints"));
                anyhow::ensure!(known, "{}", dry.stderr);
                Ok(())
            },
        )
        .await?;
        assert_eq!(weights(&splits.get(way).await?), [0.0, 1.0]);
    }

    // West recovers and dies again after east has: traffic is where the endpoints are.
    there.scale("emoji", 2).await?;
    here.scale("emoji", 1).await?;
    for (way, _) in WAYS {
        wait_weights(&splits, way, &[1.0, 0.0]).await?;
    }
    assert!(!logs(&installation)?.contains(link.token()));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_standby_leaves_a_dead_mirror_once_the_other_cluster_itself_has_confirmed_it()
-> Result<()> {
    let (east, west) = east_and_west().await?;
    link(&east, &west).await?;
    let installation = install(&east, 2, &[CREDENTIALS]).await?;
    let (here, there) = (emoji_in(&east).await?, emoji_in(&west).await?);
    here.discovery_mirror("emoji-svc", "west").await?;
    here.apply(&prefers_west()).await?;
    let splits = splits(&east, "emojivoto");
    for replica in installation.replicas() {
        wait_reachable(replica, Some(1.0)).await?;
    }
    let born = wait_weights(&splits, "emoji", &[0.0, 1.0]).await?;
    assert!(annotation(&born, "primary-service").is_some());

    let leader = crate::support::leader(&east, &installation).await?;
    let standby = other(&installation, &leader)?;
    leader.process().kill()?;
    let _lease = RenewedLease::of_the_dead(&east);
    there.scale("emoji", 0).await?;
    let moved = wait_weights(&splits, "emoji", &[1.0, 0.0]).await?;
    assert_eq!(state(&moved).unwrap().by, standby.name());
    // It is counted once the write is answered.
    wait_metric(&standby, "linkerd_failover_rescues_total", 1.0).await?;
    let metrics = standby.get("/metrics").await?;
    assert!(metric(&metrics, "linkerd_failover_confirmations_total") > Some(0.0), "{metrics}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_members_port_is_asked_for_by_its_number_whatever_its_own_cluster_calls_it() -> Result<()>
{
    let (east, west) = east_and_west().await?;
    link(&east, &west).await?;
    let installation = install(&east, 1, &[CREDENTIALS]).await?;
    let replica = &installation.replicas()[0];
    let (here, there) = (emoji_in(&east).await?, emoji_in(&west).await?);
    let rename = |port: &str| {
        let patch = json!([{"op": "replace", "path": "/spec/ports/0/name", "value": port}]);
        let patch = format!("--patch={patch}");
        there.kubectl(["patch", "service", "emoji-svc", "--type=json", &patch])
    };
    rename("called-otherwise").ok().await?;
    here.deploy("backup", 1).await?;
    here.discovery_mirror("emoji-svc", "west").await?;
    here.federate("emoji-svc", &["west"]).await?;
    for (way, fallback) in &WAYS[1..] {
        here.apply(&split(way, &[fallback, "backup-svc"])).await?;
    }
    let splits = splits(&east, "emojivoto");
    wait_reachable(replica, Some(1.0)).await?;
    here.scale("emoji", 0).await?;
    for (way, _) in &WAYS[1..] {
        wait_weights(&splits, way, &[0.0, 1.0, 0.0]).await?;
    }

    // It is renamed while it serves: its slices follow a moment later. Where they take longer than
    // a changed Service is waited for, traffic moves rightly, and the rename is done once more.
    let slices: Api<EndpointSlice> = there.api();
    for attempt in 1.. {
        let before = since(&splits).await?;
        let (name, began) = (format!("renamed-{attempt}"), Instant::now());
        rename(&name).ok().await?;
        let followed = eventually("the slices have the new name", PATIENCE, || async {
            let slices = slices.list(&ListParams::default()).await?.items;
            let mut named = slices.iter().flat_map(|slice| slice.ports.iter().flatten());
            anyhow::ensure!(named.any(|port| port.name.as_deref() == Some(&name)), "not yet");
            Ok::<_, anyhow::Error>(began.elapsed())
        });
        let in_time = followed.await? < Duration::from_secs(2);
        tokio::time::sleep(Duration::from_secs(8)).await;
        if !in_time && attempt < 5 {
            continue;
        }
        assert_eq!(since(&splits).await?, before, "traffic has not moved");
        break;
    }
    there.scale("emoji", 0).await?;
    for (way, _) in &WAYS[1..] {
        wait_weights(&splits, way, &[0.0, 0.0, 1.0]).await?;
    }
    Ok(())
}

/// Since when the active backends of the discovery mirror's and the federated Service's splits are
/// active, with the weights that they have.
async fn since(splits: &Api<DynamicObject>) -> Result<Vec<(Option<Timestamp>, Vec<f64>)>> {
    let mut since = vec![];
    for (way, _) in &WAYS[1..] {
        let split = splits.get(way).await?;
        since.push((state(&split).map(|state| state.sets[""].since), weights(&split)));
    }
    Ok(since)
}
