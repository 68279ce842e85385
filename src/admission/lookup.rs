//! The live look-up. A Service and the object that names it are often applied in one file, and the cache
//! may not have the Service yet when the object is reviewed.

use crate::admission::view::{LiveLookups, Lookup};
use crate::engine::{Declaration, service_of};
use crate::index::service_facts::ServiceFacts;
use crate::index::store::Index;
use crate::kinds::partial::PartialService;
use crate::kinds::{ObjectKey, brief, get_known};
use futures::StreamExt;
use kube::{Api, Client};
use std::collections::BTreeSet;
use std::time::Duration;

/// The most look-ups for one object: its other names stay unchecked.
const MOST: usize = 32;
/// The time for all look-ups together: well below the shortest timeout of a webhook, a second. The result
/// of an unfinished look-up is not known.
const PATIENCE: Duration = Duration::from_millis(500);

/// Names of the Services that matter for an object's failover, as it names them.
pub(crate) fn named(declared: &Declaration) -> BTreeSet<String> {
    // Before the mutator, new rules look like rules without failover.
    let sets = declared.failing_over().chain(declared.without_primary());
    let backends = sets.flat_map(|set| &set.backends);
    let backends = backends.filter(|b| b.fault.is_none()).map(|b| &b.name);
    let names = backends.chain(&declared.apexes).filter(|name| declared.can_name(name));
    names.map(|name| service_of(name).to_owned()).collect()
}

/// Whether the cache has every Service that the objects name: as a rule it has.
pub(crate) fn has_all(index: &Index, namespace: &str, objects: &[&Declaration]) -> bool {
    let backends = objects.iter().flat_map(|object| object.backends()).map(|b| &b.name);
    let apexes = objects.iter().flat_map(|object| &object.apexes);
    let names: BTreeSet<&str> = backends.chain(apexes).map(|name| service_of(name)).collect();
    names.iter().all(|name| index.service(&ObjectKey::within(namespace, name)).is_some())
}

/// Of the names in namespaces that are watched, those that the cache does not have.
pub(crate) fn missing(
    index: &Index,
    namespace: &str,
    mut names: BTreeSet<String>,
) -> BTreeSet<String> {
    let own = ObjectKey::new(namespace, "");
    names.retain(|name| {
        let service = own.beside(name);
        index.service(&service).is_none() && index.watches(&service.namespace)
    });
    names
}

/// The names in namespaces that are watched: elsewhere RBAC denies a look-up too.
pub(crate) fn watched(
    index: &Index,
    namespace: &str,
    mut names: BTreeSet<String>,
) -> BTreeSet<String> {
    let own = ObjectKey::new(namespace, "");
    names.retain(|name| index.watches(&own.beside(name).namespace));
    names
}

/// Reads each Service from the API server.
pub(crate) async fn look_up(
    client: &Client,
    namespace: &str,
    names: BTreeSet<String>,
) -> LiveLookups {
    let own = ObjectKey::new(namespace, "");
    let asked = names.into_iter().take(MOST).map(|name| {
        let service = own.beside(&name);
        let api: Api<PartialService> = Api::namespaced(client.clone(), &service.namespace);
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
