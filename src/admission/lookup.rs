//! The live look-up: a Service and the object that names it are often applied in one file, and the cache
//! may not have the first when the second is reviewed.

use crate::admission::view::{LiveLookups, Lookup};
use crate::engine::{Declaration, service_of};
use crate::index::service_facts::ServiceFacts;
use crate::index::store::Index;
use crate::kinds::{ObjectKey, brief, get_known};
use futures::StreamExt;
use k8s_openapi::api::core::v1::Service;
use kube::{Api, Client};
use std::collections::BTreeSet;
use std::time::Duration;

/// One object may not ask for more look-ups than this: its other names stay unchecked.
const MOST: usize = 32;
/// For all of them together: well inside the shortest timeout of a webhook, which is a second. A look-up
/// without an answer by then is not known.
const PATIENCE: Duration = Duration::from_millis(500);

/// Names of the Services that matter for an object's failover, as it names them.
pub(crate) fn named(declared: &Declaration) -> BTreeSet<String> {
    // The mutator has yet to distinguish new rules from those that do not fail over.
    let sets = declared.failing_over().chain(declared.without_primary());
    let backends = sets.flat_map(|set| &set.backends);
    let backends = backends.filter(|b| b.fault.is_none()).map(|b| &b.name);
    let names = backends.chain(&declared.apexes).filter(|name| declared.can_name(name));
    names.map(|name| service_of(name).to_owned()).collect()
}

/// Those of them that the cache does not have.
pub(crate) fn missing(index: &Index, namespace: &str, declared: &Declaration) -> BTreeSet<String> {
    let own = ObjectKey::new(namespace, "");
    let unseen = |name: &String| index.service(&own.beside(name)).is_none();
    watched(index, namespace, named(declared)).into_iter().filter(unseen).collect()
}

/// Those of them that we may look at: where we may not, nothing is gained by asking.
pub(crate) fn watched(
    index: &Index,
    namespace: &str,
    mut names: BTreeSet<String>,
) -> BTreeSet<String> {
    let own = ObjectKey::new(namespace, "");
    names.retain(|name| index.watches(&own.beside(name).namespace));
    names
}

/// Asks the API server for each name.
pub(crate) async fn look_up(
    client: &Client,
    namespace: &str,
    names: BTreeSet<String>,
) -> LiveLookups {
    let own = ObjectKey::new(namespace, "");
    let asked = names.into_iter().take(MOST).map(|name| {
        let service = own.beside(&name);
        let api: Api<Service> = Api::namespaced(client.clone(), &service.namespace);
        async move {
            let answer = match get_known(&api, &service.name).await {
                Ok(Some(service)) => Lookup::Found(ServiceFacts::read(&service)),
                Ok(None) => Lookup::Missing,
                Err(error) => {
                    let error = brief(&error);
                    tracing::warn!(%service, error, "could not look up the Service");
                    Lookup::NotKnown
                }
            };
            (name, answer)
        }
    });
    let answers = futures::stream::iter(asked).buffer_unordered(8);
    answers.take_until(tokio::time::sleep(PATIENCE)).collect().await
}
