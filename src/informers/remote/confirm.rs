//! Asking the members of a Service, past the watches, whether what is known of them is right.

use crate::index::endpoints::{AddressFamilies, SERVICE_NAME};
use crate::index::remote::members::Member;
use crate::index::remote::reach::Reach;
use crate::index::service_facts::ServiceFacts;
use crate::index::shared_index::{SharedIndex, list_version};
use crate::informers::remote::watch::told;
use crate::informers::watch::version;
use crate::kinds::ObjectKey;
use futures::future::join_all;
use k8s_openapi::api::core::v1::Service;
use k8s_openapi::api::discovery::v1::EndpointSlice;
use kube::api::ListParams;
use kube::{Api, Client};
use std::time::Duration;

/// Less than whoever asks has: a cluster that hangs must count as one that does not answer.
const PATIENCE: Duration = Duration::from_secs(2);

/// Reads every member, the Service and its slices, each from its own cluster, and takes them in. A
/// cluster that is known to be out of reach, and is, agrees with what is known.
pub(crate) async fn confirm(
    shared: &SharedIndex,
    client: &Client,
    service: &ObjectKey,
    members: &[Member],
    families: AddressFamilies,
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
    shared: &SharedIndex,
    cluster: &str,
    service: &ObjectKey,
    families: AddressFamilies,
) -> Result<(), String> {
    let (ticket, of_itself) = {
        let index = shared.read();
        let ticket = index.remote.ticket(cluster, service);
        (ticket, index.remote.service_ticket(cluster, service))
    };
    // Nobody to ask: what is known, or not, is all there is.
    let (Some(client), Some(ticket)) = (shared.clients.get(cluster), ticket) else {
        return Ok(());
    };
    let slices: Api<EndpointSlice> = Api::namespaced(client.clone(), &service.namespace);
    let services: Api<Service> = Api::namespaced(client, &service.namespace);
    // No resourceVersion: what is committed, not what is cached.
    let its_slices = ListParams::default().labels(&format!("{SERVICE_NAME}={}", service.name));
    let itself = ListParams::default().fields(&format!("metadata.name={}", service.name));
    let asked = async {
        let itself = async {
            match of_itself {
                Some(ticket) => Ok(Some((ticket, services.list(&itself).await?))),
                None => Ok(None),
            }
        };
        tokio::try_join!(slices.list(&its_slices), itself)
    };
    let listed = tokio::time::timeout(PATIENCE, asked).await.ok().and_then(Result::ok);
    let seen = shared.read().remote.reach(cluster).is_some_and(Reach::is_seen);
    match (listed, seen) {
        (Some((list, itself)), true) => {
            let taken = shared.take_in(|index| {
                let mut affected = vec![];
                if let Some((ticket, list)) = itself {
                    let found = list.items.first();
                    let found = found.map(|found| (version(found), ServiceFacts::read(found)));
                    let at = list_version(&list);
                    affected =
                        index.confirm_remote_service(cluster, &ticket, service, found, at)?;
                }
                let at = list_version(&list);
                let slices = list.items.iter().map(|slice| told(slice, families)).collect();
                affected
                    .extend(index.confirm_remote_slices(cluster, &ticket, service, slices, at)?);
                Ok(affected)
            });
            taken.map_err(|void| format!("cluster {cluster}: {void}"))
        }
        (Some(_), false) => Err(format!("cluster {cluster} answers again, and is listed next")),
        (None, true) => Err(format!("cluster {cluster} does not answer")),
        (None, false) => Ok(()),
    }
}
