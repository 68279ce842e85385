//! Asking the members of a Service, past the watches, whether what is known of them is right.

use super::super::endpoints::{Families, SERVICE_NAME};
use super::super::shared::{Shared, list_version};
use super::members::Member;
use super::reach::Reach;
use super::watch::told;
use crate::resources::ObjectKey;
use futures::future::join_all;
use k8s_openapi::api::discovery::v1::EndpointSlice;
use kube::api::ListParams;
use kube::{Api, Client};
use std::time::Duration;

/// Less than whoever asks has: a cluster that hangs must count as one that does not answer.
const PATIENCE: Duration = Duration::from_secs(2);

/// Reads the slices of every member, each from its own cluster, and takes them in; of those of this
/// cluster the Services too. A cluster that
/// is known to be out of reach, and is, agrees with what is known.
pub async fn confirm(
    shared: &Shared,
    client: &Client,
    service: &ObjectKey,
    members: &[Member],
    families: Families,
) -> Result<(), String> {
    let asked = members.iter().map(|member| async move {
        match member {
            Member::Here(name) => {
                shared.confirm_here(client, &service.beside(name), families).await
            }
            Member::There { cluster, service: name } => {
                confirm_there(shared, cluster, &service.beside(name), families).await
            }
        }
    });
    join_all(asked).await.into_iter().collect()
}

async fn confirm_there(
    shared: &Shared,
    cluster: &str,
    service: &ObjectKey,
    families: Families,
) -> Result<(), String> {
    // Nobody to ask: what is known, or not, is all there is.
    let ticket = shared.read().remote.ticket(cluster, service);
    let (Some(client), Some(ticket)) = (shared.clients.get(cluster), ticket) else {
        return Ok(());
    };
    let api: Api<EndpointSlice> = Api::namespaced(client, &service.namespace);
    // No resourceVersion: what is committed, not what is cached.
    let params = ListParams::default().labels(&format!("{SERVICE_NAME}={}", service.name));
    let listed = tokio::time::timeout(PATIENCE, api.list(&params)).await.ok().and_then(Result::ok);
    let seen = shared.read().remote.reach(cluster).is_some_and(Reach::is_seen);
    match (listed, seen) {
        (Some(list), true) => {
            let at = list_version(&list);
            let slices = list.items.iter().map(|slice| told(slice, families)).collect();
            let taken = shared.take_in(|index| {
                index.confirm_remote_slices(cluster, &ticket, service, slices, at)
            });
            taken.map_err(|void| format!("cluster {cluster}: {void}"))
        }
        (Some(_), false) => Err(format!("cluster {cluster} answers again, and is listed next")),
        (None, true) => Err(format!("cluster {cluster} does not answer")),
        (None, false) => Ok(()),
    }
}
