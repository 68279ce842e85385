//! Faults of API servers and of etcd.

use super::{Made, insist};
use crate::facts::Side;
use crate::world::disturbance::Disturbed;
use test_cluster::Cluster;

pub(super) async fn stop_api_server(made: Made<'_>, kill: bool) -> anyhow::Result<()> {
    let cluster = made.world.cluster(made.fault.side);
    let away = away(&made);
    cluster.stop_api_server(kill).await?;
    made.last().await;
    start_api_server(cluster).await?;
    drop(away);
    Ok(())
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
    let cluster = made.world.cluster(made.fault.side);
    let away = away(&made);
    cluster.pause_api_server().await?;
    made.last().await;
    cluster.resume_api_server().await?;
    drop(away);
    Ok(())
}

pub(super) async fn kill_etcd(made: Made<'_>) -> anyhow::Result<()> {
    let cluster = made.world.cluster(made.fault.side);
    let away = away(&made);
    cluster.stop_etcd(true).await?;
    made.last().await;
    cluster.start_etcd().await?;
    drop(away);
    Ok(())
}

pub(super) async fn pause_etcd(made: Made<'_>) -> anyhow::Result<()> {
    let cluster = made.world.cluster(made.fault.side);
    let away = away(&made);
    cluster.pause_etcd().await?;
    made.last().await;
    cluster.resume_etcd().await?;
    drop(away);
    Ok(())
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
