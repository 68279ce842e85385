//! Linked clusters in a snapshot: the controller's own watches, until each has answered once.

use crate::index::endpoints::AddressFamilies;
use crate::index::remote::reach::Reach;
use crate::index::shared_index::SharedIndex;
use crate::index::store::Index;
use crate::informers::remote::clients::LinkedClients;
use crate::informers::remote::credentials::{Credentials, CredentialsSecret, TYPE};
use crate::informers::remote::links::{LinkSettings, watch_links};
use crate::runtime::options::LinkOptions;
use crate::snapshot::gap::Gap;
use crate::telemetry::WatchMetrics;
use kube::api::ListParams;
use kube::{Api, Client};
use std::collections::BTreeSet;
use std::time::Duration;
use tokio::sync::mpsc;

/// The longest that linked clusters are waited for; after 3 s without an answer one counts as out of reach.
const PATIENCE: Duration = Duration::from_secs(6);
const LOOK_EVERY: Duration = Duration::from_millis(20);

const UNKNOWN: &str = "the health of the Services there is not known here";

/// Enters what linked clusters show into the index, as far as the person may read their credentials.
pub(super) async fn look(
    client: &Client,
    options: &LinkOptions,
    families: AddressFamilies,
    shared: &SharedIndex,
) -> Vec<Gap> {
    let (clusters, mut gaps) = clusters(client, &options.namespaces).await;
    let requested = requested(&shared.read(), &clusters);
    if requested.is_empty() {
        return gaps;
    }
    let settings = LinkSettings {
        namespaces: options.namespaces.clone(),
        families,
        limit: options.unreachable_after,
        watches: WatchMetrics::default(),
    };
    let (publish, _transitions) = mpsc::unbounded_channel();
    let clients = LinkedClients::default();
    let watches = watch_links(client.clone(), settings, shared.clone(), clients, publish);
    let answers = async {
        while !requested.iter().all(|cluster| has_answered(&shared.read(), cluster)) {
            tokio::time::sleep(LOOK_EVERY).await;
        }
    };
    tokio::select! {
        () = watches => {}
        () = answers => {}
        () = tokio::time::sleep(PATIENCE) => {}
    }
    let index = shared.read();
    gaps.extend(requested.iter().filter_map(|cluster| unseen(&index, cluster)));
    gaps
}

/// The clusters that there are credentials for, and what may not be read of these.
async fn clusters(client: &Client, namespaces: &[String]) -> (BTreeSet<String>, Vec<Gap>) {
    let (mut clusters, mut gaps) = (BTreeSet::new(), vec![]);
    let of_type = ListParams::default().fields(&format!("type={TYPE}"));
    for namespace in namespaces {
        let api: Api<CredentialsSecret> = Api::namespaced(client.clone(), namespace);
        match api.list(&of_type).await {
            Ok(list) => {
                let read = list.items.iter().filter_map(Credentials::read);
                clusters.extend(read.map(|credentials| credentials.cluster));
            }
            // Other errors may quote what was read.
            Err(error) => {
                let what = format!("credentials of linked clusters in namespace {namespace}");
                gaps.push(match error {
                    kube::Error::Api(status) if status.code == 403 => {
                        Gap::forbidden(format!("{what} may not be listed"), UNKNOWN)
                    }
                    _ => Gap::new(format!("{what} cannot be listed"), UNKNOWN),
                });
            }
        }
    }
    (clusters, gaps)
}

/// Those of them that anything is requested of.
fn requested(index: &Index, clusters: &BTreeSet<String>) -> Vec<String> {
    clusters.iter().filter(|cluster| !index.requested_of(cluster).is_empty()).cloned().collect()
}

fn has_answered(index: &Index, cluster: &str) -> bool {
    match index.remote.reach(cluster) {
        None | Some(Reach::Idle | Reach::Requested { .. } | Reach::Seen { doubted: Some(_) }) => {
            false
        }
        Some(Reach::Seen { doubted: None }) => index.remote.has_tried_services(cluster),
        Some(_) => true,
    }
}

/// A cluster that has not shown its endpoints from here. What the replicas see of it may be more.
fn unseen(index: &Index, cluster: &str) -> Option<Gap> {
    let reach = index.remote.reach(cluster);
    let is_seen = reach.is_some_and(Reach::is_seen);
    let what = || format!("linked cluster {cluster} does not answer from here");
    (!is_seen).then(|| Gap::new(what(), UNKNOWN))
}
