//! Consistent LISTs: whether what the watches have reported of a Service is what is committed now.

use crate::engine::is_service_name;
use crate::index::endpoints::{AddressFamilies, SERVICE_NAME};
use crate::index::order::Superseded;
use crate::index::remote::members::Member;
use crate::index::remote::reach::Reach;
use crate::index::service_facts::{ServiceFacts, ServiceKind};
use crate::index::shared_index::SharedIndex;
use crate::index::slice_table::SliceUpdate;
use crate::informers::remote::clients::LinkedClients;
use crate::informers::{endpoint_slices, resource_version};
use crate::kinds::partial::{PartialService, PartialSlice};
use crate::kinds::{ObjectKey, brief};
use futures::future::join_all;
use kube::api::ListParams;
use kube::{Api, Client};
use std::time::Duration;
use thiserror::Error;

/// Shorter than the timeout of a confirmation: a cluster that hangs has to count as one that does not
/// answer.
const REMOTE_TIMEOUT: Duration = Duration::from_secs(2);

/// Why a LIST did not confirm what is known.
#[derive(Debug, Error)]
pub(crate) enum ConfirmError {
    #[error("{}", brief(.0))]
    List(#[from] kube::Error),
    #[error(transparent)]
    Superseded(#[from] Superseded),
    #[error("cluster {cluster}: {reason}")]
    RemoteSuperseded { cluster: String, reason: Superseded },
    #[error("cluster {0} answers again, and is listed next")]
    RemoteRecovers(String),
    #[error("cluster {0} does not answer")]
    RemoteSilent(String),
    #[error("no answer within {} s", .0.as_secs())]
    Timeout(Duration),
}

/// Reads Services and their slices past the watches, of this cluster and of linked ones, into the index.
#[derive(Clone)]
pub(crate) struct ConsistentReader {
    pub(crate) index: SharedIndex,
    /// Of this cluster.
    pub(crate) client: Client,
    /// Of the linked ones.
    pub(crate) linked: LinkedClients,
    pub(crate) families: AddressFamilies,
}

impl ConsistentReader {
    /// [Reads](Self::confirm) a Service, or gives up after a while.
    pub(crate) async fn confirm_within(
        &self,
        timeout: Duration,
        service: &ObjectKey,
    ) -> Result<(), ConfirmError> {
        let confirmed = tokio::time::timeout(timeout, self.confirm(service)).await;
        confirmed.unwrap_or(Err(ConfirmError::Timeout(timeout)))
    }

    /// Reads a Service and its endpoints as they are at this very moment.
    async fn confirm(&self, service: &ObjectKey) -> Result<(), ConfirmError> {
        // What cannot exist, and what may not be read, is known as well as it can be. An API server refuses
        // a selector with a name that no Service can have.
        if !is_service_name(&service.name) || !self.index.read().watches(&service.namespace) {
            return Ok(());
        }
        let before = self.members_of(service);
        // Both at once: where the endpoints of a Service are depends on its kind, which hardly ever
        // changes.
        let (itself, endpoints) = tokio::join!(
            self.confirm_service(service),
            self.confirm_endpoints(service, before.as_deref())
        );
        itself.and(endpoints)?;
        let after = self.members_of(service);
        if after == before {
            return Ok(());
        }
        self.confirm_endpoints(service, after.as_deref()).await
    }

    fn members_of(&self, service: &ObjectKey) -> Option<Box<[Member]>> {
        match &self.index.read().service(service)?.kind {
            ServiceKind::Members(members) => Some(members.clone()),
            ServiceKind::Slices | ServiceKind::ExternalName => None,
        }
    }

    async fn confirm_endpoints(
        &self,
        service: &ObjectKey,
        members: Option<&[Member]>,
    ) -> Result<(), ConfirmError> {
        match members {
            Some(members) => self.confirm_members(service, members).await,
            None => self.confirm_slices(service).await,
        }
    }

    /// Each member in its own cluster. A cluster that is known to be out of reach, and does not answer,
    /// confirms what is known.
    async fn confirm_members(
        &self,
        service: &ObjectKey,
        members: &[Member],
    ) -> Result<(), ConfirmError> {
        let each = members.iter().map(|member| async move {
            match member {
                Member::Local(name) => {
                    let member = service.beside(name);
                    let (itself, slices) =
                        tokio::join!(self.confirm_service(&member), self.confirm_slices(&member));
                    itself.and(slices)
                }
                Member::Remote { cluster, service: name } => {
                    self.confirm_remote(cluster, &service.beside(name)).await
                }
            }
        });
        join_all(each).await.into_iter().collect()
    }

    async fn confirm_service(&self, service: &ObjectKey) -> Result<(), ConfirmError> {
        let (ticket, _) = self.index.read().service_tickets(service);
        let (found, at) = list_service(&self.client, service).await?;
        Ok(self.index.enter_answer(|index| index.confirm_service(&ticket, service, found, at))?)
    }

    async fn confirm_slices(&self, service: &ObjectKey) -> Result<(), ConfirmError> {
        let (_, ticket) = self.index.read().service_tickets(service);
        let (slices, at) = list_slices(&self.client, service, self.families).await?;
        Ok(self.index.enter_answer(|index| index.confirm_slices(&ticket, service, slices, at))?)
    }

    async fn confirm_remote(&self, cluster: &str, service: &ObjectKey) -> Result<(), ConfirmError> {
        let (ticket, service_ticket) = {
            let index = self.index.read();
            let ticket = index.remote.ticket(cluster, service);
            (ticket, index.remote.service_ticket(cluster, service))
        };
        // Without a client nothing more can be known.
        let (Some(client), Some(ticket)) = (self.linked.get(cluster), ticket) else {
            return Ok(());
        };
        let lists = async {
            let itself = async {
                match service_ticket {
                    Some(ticket) => Ok(Some((ticket, list_service(&client, service).await?))),
                    None => Ok(None),
                }
            };
            tokio::try_join!(list_slices(&client, service, self.families), itself)
        };
        let listed = tokio::time::timeout(REMOTE_TIMEOUT, lists).await.ok().and_then(Result::ok);
        let is_seen = self.index.read().remote.reach(cluster).is_some_and(Reach::is_seen);
        let ((slices, at), itself) = match (listed, is_seen) {
            (Some(listed), true) => listed,
            (Some(_), false) => return Err(ConfirmError::RemoteRecovers(cluster.to_owned())),
            (None, true) => return Err(ConfirmError::RemoteSilent(cluster.to_owned())),
            (None, false) => return Ok(()),
        };
        let entered = self.index.enter_answer(|index| {
            let mut affected = vec![];
            if let Some((ticket, (found, at))) = itself {
                affected = index.confirm_remote_service(cluster, &ticket, service, found, at)?;
            }
            affected.extend(index.confirm_remote_slices(cluster, &ticket, service, slices, at)?);
            Ok(affected)
        });
        entered.map_err(|reason| ConfirmError::RemoteSuperseded {
            cluster: cluster.to_owned(),
            reason,
        })
    }
}

/// A Service, if there is one, with its version; and the version of the LIST. A LIST and not a GET: it
/// has a version also where there is no such Service.
async fn list_service(
    client: &Client,
    service: &ObjectKey,
) -> kube::Result<(Option<(u64, ServiceFacts)>, u64)> {
    let api: Api<PartialService> = Api::namespaced(client.clone(), &service.namespace);
    let list = api.list(&consistent().fields(&format!("metadata.name={}", service.name))).await?;
    let read = |found| (resource_version::of_object(found), ServiceFacts::read(found));
    Ok((list.items.first().map(read), resource_version::of_list(&list)))
}

/// The slices of a Service, and the version of the LIST.
async fn list_slices(
    client: &Client,
    service: &ObjectKey,
    families: AddressFamilies,
) -> kube::Result<(Vec<SliceUpdate>, u64)> {
    let api: Api<PartialSlice> = Api::namespaced(client.clone(), &service.namespace);
    let list = api.list(&consistent().labels(&format!("{SERVICE_NAME}={}", service.name))).await?;
    let read = |slice| endpoint_slices::read(slice, families);
    Ok((list.items.iter().map(read).collect(), resource_version::of_list(&list)))
}

/// No resourceVersion: the API server answers from what is committed, not from its cache.
fn consistent() -> ListParams {
    ListParams::default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::{Request, Response};
    use kube::client::Body;
    use std::convert::Infallible;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    /// A reader whose API server refuses every selector, as it refuses one with a name that it cannot
    /// hold; and how many requests it has received.
    fn reader() -> (ConsistentReader, Arc<AtomicUsize>) {
        let requests = Arc::new(AtomicUsize::new(0));
        let counter = requests.clone();
        let service = tower::service_fn(move |_: Request<Body>| {
            counter.fetch_add(1, Ordering::SeqCst);
            let status = r#"{"kind": "Status", "apiVersion": "v1", "status": "Failure",
                "reason": "BadRequest", "code": 400, "message": "unable to parse requirement"}"#;
            let response =
                Response::builder().status(400).body(Body::from(status.as_bytes().to_vec()));
            std::future::ready(Ok::<_, Infallible>(response.unwrap()))
        });
        let reader = ConsistentReader {
            index: SharedIndex::new().0,
            client: Client::new(service, "default"),
            linked: LinkedClients::default(),
            families: AddressFamilies::default(),
        };
        (reader, requests)
    }

    #[tokio::test]
    async fn a_name_that_no_service_can_have_is_confirmed_without_a_request() {
        let (reader, requests) = reader();
        for name in ["", "-a", "a-", "-", "A", "a.b", "a_b", &"a".repeat(64)] {
            let confirmed = reader.confirm(&ObjectKey::new("ns", name)).await;
            assert!(confirmed.is_ok(), "{name}: {confirmed:?}");
        }
        assert_eq!(requests.load(Ordering::SeqCst), 0);
        assert!(reader.confirm(&ObjectKey::new("ns", "a-b")).await.is_err());
        assert_ne!(requests.load(Ordering::SeqCst), 0);
    }
}
