//! Deletions that the guard delays.

use super::Made;
use crate::facts::Fact;
use crate::world::objects::{NAMESPACES, namespace};
use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use kube::api::{DeleteParams, ListParams};
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(60);
const PAUSE: Duration = Duration::from_millis(300);

/// All guarded pods of a namespace are deleted, one after the other; the Deployment makes new ones.
pub(super) async fn drain(mut made: Made<'_>) -> anyhow::Result<()> {
    let world = made.world;
    let namespace = namespace(made.random.usize(..NAMESPACES));
    let pods: Api<Pod> = Api::namespaced(world.east.client(), &namespace);
    let guarded = ListParams::default().labels("failover.linkerd.io/guard=enabled");
    let end = made.end();
    while tokio::time::Instant::now() < end {
        let found = pods.list(&guarded).await.map(|list| list.items).unwrap_or_default();
        let living = found.into_iter().filter(|pod| pod.metadata.deletion_timestamp.is_none());
        for name in living.filter_map(|pod| pod.metadata.name) {
            let pod = format!("{namespace}/{name}");
            world.journal.fact(Fact::DeletionAsked { pod: pod.clone(), at: world.clock.now() });
            let asked = world.counted();
            let params = DeleteParams::default();
            let answer = tokio::time::timeout(PATIENCE, pods.delete(&name, &params)).await;
            let status = match answer {
                Ok(Ok(_)) => 200,
                Ok(Err(kube::Error::Api(status))) => status.code,
                Ok(Err(_)) | Err(_) => 0,
            };
            let (took, at) = (world.counted() - asked, world.clock.now());
            world.journal.fact(Fact::DeletionAnswered { pod, status, took, at });
        }
        tokio::time::sleep(PAUSE).await;
    }
    Ok(())
}
