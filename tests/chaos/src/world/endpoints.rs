//! Plays the script of endpoints.

use super::manifest::slice;
use super::script::{Change, script};
use super::start::World;
use crate::facts::At;
use k8s_openapi::api::discovery::v1::EndpointSlice;
use kube::Api;
use kube::api::{Patch, PatchParams};
use serde_json::json;
use std::sync::Arc;
use std::time::Duration;

const RETRY: Duration = Duration::from_millis(200);

/// Changes endpoints until the script is over.
pub(super) async fn change(world: Arc<World>, seed: u64, length: Duration, begin: At) {
    for change in script(seed, &world.declarations.services, length) {
        let due = world.clock.instant(At(begin.0 + change.at));
        tokio::time::sleep_until(due.into()).await;
        world.journal.line(&json!({ "endpoints": change, "at": world.clock.now() }));
        // An API server that is away takes the change when it is back: what is the truth is in etcd.
        while let Err(error) = write(&world, &change).await {
            if matches!(&error, kube::Error::Api(status) if status.code == 404) {
                break;
            }
            tokio::time::sleep(RETRY).await;
        }
    }
}

/// Gives a Service so many ready endpoints.
pub(super) async fn write(world: &World, change: &Change) -> kube::Result<()> {
    let Change { side, namespace, service, ready, .. } = change;
    let slices: Api<EndpointSlice> = Api::namespaced(world.cluster(*side).client(), namespace);
    let endpoints = slice(namespace, service, *ready)["endpoints"].take();
    let patch = Patch::Merge(json!({ "endpoints": endpoints }));
    slices.patch(service, &PatchParams::default(), &patch).await.map(drop)
}

impl World {
    /// Gives a Service of the east so many ready endpoints, now.
    pub async fn set_ready(
        &self,
        namespace: &str,
        service: &str,
        ready: usize,
    ) -> kube::Result<()> {
        let (namespace, service) = (namespace.to_owned(), service.to_owned());
        let side = crate::facts::Side::East;
        let change = Change { at: Duration::ZERO, side, namespace, service, ready };
        self.journal.line(&json!({ "endpoints": change, "at": self.clock.now() }));
        write(self, &change).await
    }
}
