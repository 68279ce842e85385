//! The live look-up: a Service and the object that names it are often applied in one file, and
//! the cache may not have seen the first when the second is judged.

use super::{LookedUp, Presence};
use crate::cluster::Index;
use crate::failover::Declaration;
use crate::resources::{ObjectKey, brief};
use futures::StreamExt;
use k8s_openapi::api::core::v1::Service;
use kube::{Api, Client};
use std::collections::BTreeSet;
use std::time::Duration;

/// One object may not ask for more look-ups than this: its other names stay unchecked.
const MOST: usize = 32;
/// Well inside the API server's timeout for the webhook.
const PATIENCE: Duration = Duration::from_secs(1);

/// Names of an object's Services that the cache does not have.
pub fn missing(index: &Index, namespace: &str, declared: &Declaration) -> BTreeSet<String> {
    let names = declared.backends.iter().map(|b| &b.name).chain([&declared.apex]);
    names
        .filter(|name| !name.is_empty())
        .filter(|name| index.service(&ObjectKey::new(namespace, name.as_str())).is_none())
        .cloned()
        .collect()
}

/// Asks the API server for each name.
pub async fn look_up(client: &Client, namespace: &str, names: BTreeSet<String>) -> LookedUp {
    let api: Api<Service> = Api::namespaced(client.clone(), namespace);
    let asked = names.into_iter().take(MOST).map(|name| {
        let api = api.clone();
        async move {
            // A name that no Service can have is not worth a question.
            if name.contains('/') || name.len() > 253 {
                return (name, Presence::Missing);
            }
            let answer = tokio::time::timeout(PATIENCE, api.get_metadata_opt(&name)).await;
            let presence = match answer {
                Ok(Ok(Some(_))) => Presence::Exists,
                Ok(Ok(None)) => Presence::Missing,
                Ok(Err(error)) => {
                    let error = brief(&error);
                    tracing::warn!(%namespace, %name, error, "could not look up the Service");
                    Presence::NotKnown
                }
                Err(_) => Presence::NotKnown,
            };
            (name, presence)
        }
    });
    futures::stream::iter(asked).buffer_unordered(8).collect().await
}
