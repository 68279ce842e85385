//! East, where the chart is installed, and west, which is linked to it.

use super::*;
use anyhow::{Context, Result};
use k8s_openapi::api::events::v1::Event;
use kube::api::{Api, ListParams};
use std::sync::Arc;
use test_cluster::{Cluster, Installation, LINKS, Link, Replica, Workload, eventually};

/// The value that lets the chart read the Secrets of linked clusters.
pub(crate) const CREDENTIALS: &str = "remoteClusters.credentialsNamespaces={linkerd-multicluster}";

pub(crate) async fn east_and_west() -> Result<(Cluster, Cluster)> {
    let (east, west) = tokio::try_join!(cluster(), bare_cluster())?;
    east.create_multicluster_namespace().await?;
    Ok((east, west))
}

/// Links west to east.
pub(crate) async fn link(east: &Cluster, west: &Cluster) -> Result<Link> {
    let link = Link::create(west, "west").await?;
    link.apply(east).await?;
    Ok(link)
}

/// Emojivoto's `emoji-svc` with one pod.
pub(crate) async fn emoji_in(cluster: &Cluster) -> Result<Workload<'_>> {
    let workload = Workload::new(cluster, "emojivoto").await?;
    workload.deploy_emoji(1).await?;
    Ok(workload)
}

/// Emojivoto here and in west, west active, and a second fallback here, `backup-svc`.
pub(crate) async fn west_active<'a>(
    east: &'a Cluster,
    west: &'a Cluster,
    replica: &Replica,
) -> Result<(Workload<'a>, Workload<'a>)> {
    let (here, there) = (emoji_in(east).await?, emoji_in(west).await?);
    here.deploy("backup", 1).await?;
    here.discovery_mirror("emoji-svc", "west").await?;
    here.apply(&split("emoji", &["emoji-svc-west", "backup-svc"])).await?;
    wait_reachable(replica, Some(1.0)).await?;
    here.scale("emoji", 0).await?;
    wait_weights(&splits(east, "emojivoto"), "emoji", &[0.0, 1.0, 0.0]).await?;
    Ok((here, there))
}

/// A managed split of `emoji-svc` with fallbacks in this order.
pub(crate) fn split(name: &str, fallbacks: &[&str]) -> String {
    let order = format!(
        "  annotations:\n    failover.linkerd.io/fallback-order: {}\n  labels:",
        fallbacks.join(",")
    );
    manifest(name, "emoji-svc", fallbacks).replace("  labels:", &order)
}

/// A managed split of `emoji-svc` whose primary is the one in west.
pub(crate) fn prefers_west() -> String {
    emoji().replace(
        "  labels:",
        "  annotations:\n    failover.linkerd.io/primary-service: emoji-svc-west\n  labels:",
    )
}

/// Waits for an Event about a link's Secret, and gives it back.
pub(crate) async fn wait_link_event(east: &Cluster, link: &Link, reason: &str) -> Result<Event> {
    let events: Api<Event> = Api::namespaced(east.client(), LINKS);
    eventually(&format!("an Event {reason} about {}", link.secret()), PATIENCE, || async {
        let events = events.list(&ListParams::default()).await?.items;
        let found = events.into_iter().find(|event| {
            let about = event.regarding.as_ref();
            event.reason.as_deref() == Some(reason)
                && about.and_then(|about| about.name.as_deref()) == Some(&link.secret())
                && about.and_then(|about| about.kind.as_deref()) == Some("Secret")
        });
        found.context("none yet")
    })
    .await
}

/// Waits until a replica reports that it reaches west, or that it does not; none: that it reports nothing.
pub(crate) async fn wait_reachable(replica: &Replica, wanted: Option<f64>) -> Result<()> {
    let name = r#"linkerd_failover_remote_reachable{cluster="west"}"#;
    eventually(&format!("{name} of {} is {wanted:?}", replica.name()), PATIENCE, || async {
        let value = metric(&replica.get("/metrics").await?, name);
        anyhow::ensure!(value == wanted, "{value:?}");
        Ok(())
    })
    .await
}

/// Everything that the replicas have written.
pub(crate) fn logs(installation: &Installation) -> Result<String> {
    let replicas: Vec<Arc<Replica>> = installation.replicas().to_vec();
    let read = replicas.iter().map(|replica| std::fs::read_to_string(replica.process().log()));
    Ok(read.collect::<Result<Vec<_>, _>>()?.concat())
}
