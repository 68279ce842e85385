//! Faults of API servers and of etcd.

use super::{Made, insist};
use crate::facts::Side;
use crate::world::disturbance::Disturbed;
use test_cluster::Cluster;

/// Takes something of a cluster away for the time of the fault.
async fn take_away(
    made: Made<'_>,
    take: impl AsyncFnOnce(&Cluster) -> anyhow::Result<()>,
    give_back: impl AsyncFnOnce(&Cluster) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let cluster = made.world.cluster(made.fault.side);
    let away = away(&made);
    take(cluster).await?;
    made.last().await;
    give_back(cluster).await?;
    drop(away);
    Ok(())
}

pub(super) async fn stop_api_server(made: Made<'_>, kill: bool) -> anyhow::Result<()> {
    take_away(made, async |cluster| cluster.stop_api_server(kill).await, start_api_server).await
}

/// One that starts while etcd is away ends again after 20 s, and a kubelet would start it once more.
async fn start_api_server(cluster: &Cluster) -> anyhow::Result<()> {
    let mut tries = 0..5;
    loop {
        match cluster.start_api_server().await {
            Err(error) if tries.next().is_some() => {
                eprintln!("the API server is started again: {}", first_line(&error));
                cluster.stop_api_server(true).await?;
            }
            outcome => return outcome,
        }
    }
}

fn first_line(error: &anyhow::Error) -> String {
    error.root_cause().to_string().lines().next().unwrap_or_default().to_owned()
}

pub(super) async fn pause_api_server(made: Made<'_>) -> anyhow::Result<()> {
    take_away(made, Cluster::pause_api_server, Cluster::resume_api_server).await
}

pub(super) async fn kill_etcd(made: Made<'_>) -> anyhow::Result<()> {
    take_away(made, async |cluster| cluster.stop_etcd(true).await, Cluster::start_etcd).await
}

pub(super) async fn pause_etcd(made: Made<'_>) -> anyhow::Result<()> {
    take_away(made, Cluster::pause_etcd, Cluster::resume_etcd).await
}

/// Watches that end now cannot go on from where they were.
pub(super) async fn compact(made: Made<'_>) -> anyhow::Result<()> {
    let cluster = made.world.cluster(made.fault.side);
    insist("etcd is compacted", || cluster.compact_etcd()).await?;
    for proxy in &made.world.proxies {
        proxy.end("/");
    }
    made.last().await;
    Ok(())
}

/// Neither reviews nor anything else is to be counted on.
fn away(made: &Made<'_>) -> (Vec<Disturbed>, Option<Disturbed>) {
    let disturbances = &made.world.disturbances;
    let side = made.fault.side;
    let replicas = 0..made.world.replicas.len();
    let hit = replicas.map(|replica| disturbances.replica(replica, side)).collect();
    (hit, (side == Side::East).then(|| disturbances.admission()))
}
