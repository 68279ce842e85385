//! An etcd is restored from a snapshot: resourceVersions go back, objects come back or go, and the
//! program, which was not restarted, goes on.

use crate::support::linked_clusters::*;
use crate::support::*;
use anyhow::{Result, ensure};
use std::time::Instant;
use test_cluster::{Cluster, eventually};

/// Writes that only make the numbers grow.
async fn go_on(cluster: &Cluster) -> Result<()> {
    let maps: String = (0..100)
        .map(|i| {
            format!("---\napiVersion: v1\nkind: ConfigMap\nmetadata: {{name: more-{i}, namespace: default}}\n")
        })
        .collect();
    cluster.apply(&maps).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flip_follows_though_the_resource_versions_went_back() -> Result<()> {
    let cluster = cluster().await?;
    let installation = install(&cluster, 2, &[]).await?;
    let (workload, _west) = emojivoto(&cluster).await?;
    workload.apply(&emoji()).await?;
    workload.apply(&named("other")).await?;
    let splits = splits(&cluster, "emojivoto");
    wait_weights(&splits, "emoji", &[1.0, 0.0]).await?;
    wait_weights(&splits, "other", &[1.0, 0.0]).await?;
    workload.wait_endpoints("emoji-svc", 1).await?;

    let saved = cluster.save_etcd().await?;
    installation.wait_ready(PATIENCE).await?;
    // Time goes on: a flip and its way back, one object goes, another comes.
    go_on(&cluster).await?;
    workload.scale("emoji", 0).await?;
    wait_weights(&splits, "emoji", &[0.0, 1.0]).await?;
    workload.scale("emoji", 1).await?;
    wait_weights(&splits, "emoji", &[1.0, 0.0]).await?;
    wait_webhook(&cluster).await?;
    workload.kubectl(["delete", "trafficsplit", "other"]).ok().await?;
    workload.apply(&named("late")).await?;
    workload.apply(&named("later")).await?;
    wait_metric_of_all(&installation, "linkerd_failover_managed", 3.0).await?;

    cluster.restore_etcd(&saved).await?;
    installation.wait_ready(PATIENCE).await?;
    wait_metric_of_all(&installation, "linkerd_failover_managed", 2.0).await?;
    workload.wait_endpoints("emoji-svc", 1).await?;
    leader(&cluster, &installation).await?;
    let leading = async || -> Result<f64> {
        let mut leading = 0.0;
        for replica in installation.replicas() {
            let metrics = replica.get("/metrics").await?;
            leading += metric(&metrics, "linkerd_failover_leader").unwrap_or_default();
        }
        Ok(leading)
    };
    eventually("one replica leads", PATIENCE, || async {
        let leading = leading().await?;
        ensure!(leading == 1.0, "{leading} lead");
        Ok(())
    })
    .await?;

    workload.scale("emoji", 0).await?;
    let began = Instant::now();
    for name in ["emoji", "other"] {
        wait_weights(&splits, name, &[0.0, 1.0]).await?;
    }
    println!("after the restore a flip took {:.1?}", began.elapsed());
    workload.scale("emoji", 1).await?;
    for name in ["emoji", "other"] {
        wait_weights(&splits, name, &[1.0, 0.0]).await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_linked_cluster_that_was_restored_is_seen_as_it_is() -> Result<()> {
    let (east, west) = east_and_west().await?;
    link(&east, &west).await?;
    let installation = install(&east, 1, &[CREDENTIALS]).await?;
    let (here, there) = (emoji_in(&east).await?, emoji_in(&west).await?);
    here.discovery_mirror("emoji-svc", "west").await?;
    here.apply(&prefers_west()).await?;
    let splits = splits(&east, "emojivoto");
    let replica = &installation.replicas()[0];
    wait_reachable(replica, Some(1.0)).await?;
    wait_weights(&splits, "emoji", &[0.0, 1.0]).await?;

    let saved = west.save_etcd().await?;
    go_on(&west).await?;
    there.scale("emoji", 2).await?;
    there.wait_endpoints("emoji-svc", 2).await?;
    wait_reachable(replica, Some(1.0)).await?;
    west.restore_etcd(&saved).await?;
    wait_reachable(replica, Some(1.0)).await?;
    there.wait_endpoints("emoji-svc", 1).await?;

    there.scale("emoji", 0).await?;
    wait_weights(&splits, "emoji", &[1.0, 0.0]).await?;
    Ok(())
}
