//! Whether a replica can do its work on a cluster.

use super::start::{NAMESPACE, World};
use crate::facts::{Fact, Side};
use anyhow::Context;
use kube::Client;
use kube::config::{AuthInfo, Cluster, Context as KubeContext, KubeConfigOptions, Kubeconfig};
use kube::config::{NamedAuthInfo, NamedCluster, NamedContext};
use std::sync::{Arc, PoisonError};
use std::time::Duration;

const PERIOD: Duration = Duration::from_millis(150);
/// One that takes longer is no answer.
const PATIENCE: Duration = Duration::from_secs(1);

/// Asks again and again, as the replica would, and tells each change.
pub(super) async fn watch(world: Arc<World>, nth: usize) {
    let replica = Arc::clone(&world.replicas[nth]);
    let mut clients: [Option<Client>; 2] = [None, None];
    loop {
        let process = replica.process();
        let ready = async {
            let asked = test_cluster::get(replica.admin_addr(), "/ready");
            let answer = tokio::time::timeout(PATIENCE, asked).await;
            process.is_running() && matches!(answer, Ok(Ok((200, _))))
        };
        let ready = ready.await;
        for side in [Side::East, Side::West] {
            let slot = &mut clients[side as usize];
            if slot.is_none() {
                *slot = client(&world, nth, side).await.ok();
            }
            let answered = ready
                && !world.disturbances.hits(nth, side)
                && answers(slot.as_ref(), side).await
                && !world.disturbances.hits(nth, side);
            if !answered && ready {
                // Its connections may be those of a time before.
                *slot = None;
            }
            tell(&world, nth, side, answered);
        }
        tokio::time::sleep(PERIOD).await;
    }
}

fn tell(world: &World, nth: usize, side: Side, answered: bool) {
    {
        let mut reachable = world.reachable.lock().unwrap_or_else(PoisonError::into_inner);
        let known = &mut reachable[nth][side as usize];
        if *known == answered {
            return;
        }
        *known = answered;
    }
    world.journal.fact(Fact::Reachability {
        replica: world.replicas[nth].name().into(),
        cluster: side,
        answered,
        at: world.clock.now(),
    });
}

/// A read past the cache: etcd has to answer too.
async fn answers(client: Option<&Client>, side: Side) -> bool {
    let Some(client) = client else { return false };
    let path = match side {
        Side::East => {
            format!("/apis/coordination.k8s.io/v1/namespaces/{NAMESPACE}/leases/{NAMESPACE}")
        }
        Side::West => "/api/v1/services?limit=1".to_owned(),
    };
    let Ok(request) = http::Request::get(path).body(Vec::new()) else { return false };
    let asked = tokio::time::timeout(PATIENCE, client.request_text(request));
    matches!(asked.await, Ok(Ok(_)))
}

/// A client with the replica's own credentials, through its own proxy.
async fn client(world: &World, nth: usize, side: Side) -> anyhow::Result<Client> {
    let (server, token) = match side {
        Side::East => {
            let folder = world.east.folder().join("home").join(world.replicas[nth].name());
            let token = tokio::fs::read_to_string(folder.join("token")).await?;
            (world.proxies[nth].url(), token)
        }
        Side::West => (world.west_proxy.url(), world.link.token().to_owned()),
    };
    let known = Kubeconfig::read_from(world.cluster(side).kubeconfig())?;
    let known = known.clusters.into_iter().find_map(|cluster| cluster.cluster);
    let cluster =
        Cluster { server: Some(server), ..known.context("a kubeconfig without cluster")? };
    let name = "chaos".to_owned();
    let config = Kubeconfig {
        current_context: Some(name.clone()),
        clusters: vec![NamedCluster {
            name: name.clone(),
            cluster: Some(cluster),
            other: Default::default(),
        }],
        contexts: vec![NamedContext {
            name: name.clone(),
            context: Some(KubeContext {
                cluster: name.clone(),
                user: Some(name.clone()),
                ..KubeContext::default()
            }),
            other: Default::default(),
        }],
        auth_infos: vec![NamedAuthInfo {
            name,
            auth_info: Some(AuthInfo { token: Some(token.into()), ..AuthInfo::default() }),
            other: Default::default(),
        }],
        ..Kubeconfig::default()
    };
    let options = KubeConfigOptions::default();
    let mut config = kube::Config::from_custom_kubeconfig(config, &options).await?;
    // The environment's proxy cannot reach loopback.
    config.proxy_url = None;
    Ok(Client::try_from(config)?)
}
