//! Which clusters are linked: each Secret that is added, changed or deleted begins, restarts or ends the
//! watches of a cluster. Clusters do not block each other.

use crate::index::endpoints::AddressFamilies;
use crate::index::remote::reach::Transition;
use crate::index::shared_index::SharedIndex;
use crate::index::store::Index;
use crate::informers::list_watch::READ_TIMEOUT;
use crate::informers::remote::answer;
use crate::informers::remote::clients::LinkedClients;
use crate::informers::remote::credentials::{
    AllCredentials, Credentials, SecretName, chosen, declared_down,
};
use crate::informers::remote::kubeconfig::{Checked, Refusal};
use crate::informers::remote::link::Link;
use crate::informers::remote::secrets_watch::SecretsWatch;
use crate::informers::remote::transitions::LinkTransition;
use crate::telemetry::WatchMetrics;
use jiff::SignedDuration;
use kube::client::ClientBuilder;
use kube::{Api, Client};
use std::collections::{BTreeSet, HashMap};
use std::time::Duration;
use tokio::sync::{Notify, mpsc};
use tokio::task::{AbortHandle, JoinError, JoinSet};
use tower::util::AndThenLayer;

/// The timeout for connecting, TLS included.
const CONNECT: Duration = Duration::from_secs(3);

const NEXT: &str = "Link it again from a kubeconfig that has everything inline: `kubectl config view --raw --minify --flatten` writes one, and `linkerd multicluster link-gen` takes it with --kubeconfig";

/// Where clusters are linked, and what applies to all of them.
pub(crate) struct LinkSettings {
    /// The namespaces of the Secrets, in the order of precedence.
    pub namespaces: Vec<String>,
    pub families: AddressFamilies,
    /// How long a cluster may be out of reach before it counts as down.
    pub limit: SignedDuration,
    pub watches: WatchMetrics,
}

/// Follows every cluster that is linked, until dropped.
pub(crate) async fn watch_links(
    client: Client,
    linked: LinkSettings,
    index: SharedIndex,
    clients: LinkedClients,
    transitions: mpsc::UnboundedSender<LinkTransition>,
) {
    let (sender, mut secret_events) = mpsc::unbounded_channel();
    let mut secrets = JoinSet::new();
    for (place, namespace) in linked.namespaces.iter().enumerate() {
        let api = Api::namespaced(client.clone(), namespace);
        let (namespace, events) = (namespace.clone(), sender.clone());
        let received = linked.watches.begin("secrets");
        let watch = SecretsWatch { api, namespace, place, events, received };
        secrets.spawn(watch.run());
    }
    let mut all = AllCredentials::new();
    let mut links = Links {
        untried: (0..linked.namespaces.len()).collect(),
        linked,
        index,
        clients,
        transitions,
        running: HashMap::new(),
        tasks: JoinSet::new(),
    };
    loop {
        tokio::select! {
            Some(event) = secret_events.recv() => {
                links.untried.retain(|place| Some(*place) != event.tried());
                event.enter(&mut all);
                links.follow(&all).await;
            }
            Some(ended) = links.tasks.join_next() => propagate_panic(ended),
            Some(ended) = secrets.join_next() => propagate_panic(ended),
        }
    }
}

struct Links {
    linked: LinkSettings,
    /// The places of the namespaces whose Secrets have not been looked for yet.
    untried: BTreeSet<usize>,
    index: SharedIndex,
    clients: LinkedClients,
    transitions: mpsc::UnboundedSender<LinkTransition>,
    running: HashMap<String, Running>,
    tasks: JoinSet<()>,
}

/// A cluster that is linked; its watch, where its credentials can be used.
struct Running {
    credentials: Credentials,
    watch: Option<AbortHandle>,
}

/// A task that we aborted is no defect; one that panicked is.
fn propagate_panic(ended: Result<(), JoinError>) {
    match ended {
        Err(ended) if ended.is_panic() => std::panic::resume_unwind(ended.into_panic()),
        _ => {}
    }
}

impl Links {
    /// Ends a watch. After this it no longer changes the index: its facts could be outdated.
    async fn end(&mut self, watch: Option<AbortHandle>) {
        let Some(watch) = watch else { return };
        watch.abort();
        while !watch.is_finished() {
            match self.tasks.join_next().await {
                Some(ended) => propagate_panic(ended),
                None => return,
            }
        }
    }

    /// Begins and ends watches so that there is one for each of the present credentials.
    async fn follow(&mut self, all: &AllCredentials) {
        self.index.update(|index| index.set_clusters_down(declared_down(all)));
        if self.untried.is_empty() {
            self.index.update(Index::set_credentials_tried);
        }
        let chosen = chosen(all);
        let gone: Vec<String> =
            self.running.keys().filter(|c| !chosen.contains_key(c.as_str())).cloned().collect();
        for cluster in gone {
            if let Some(running) = self.running.remove(&cluster) {
                self.end(running.watch).await;
                self.clients.set(&cluster, None);
                self.index.update(|index| index.unlink(&cluster));
                self.report(&cluster, &running.credentials.secret, Transition::Unlinked, "");
            }
        }
        for (cluster, credentials) in chosen {
            let there = self.running.get(cluster);
            if there.is_some_and(|there| there.credentials.is_same_as(credentials)) {
                continue;
            }
            if let Some(running) = self.running.remove(cluster) {
                self.end(running.watch).await;
            }
            let watch = self.begin(credentials).await;
            let running = Running { credentials: credentials.clone(), watch };
            self.running.insert(cluster.to_owned(), running);
        }
    }

    async fn begin(&mut self, credentials: &Credentials) -> Option<AbortHandle> {
        let Credentials { cluster, secret, checked, .. } = credentials;
        self.index.update(|index| index.link(cluster));
        let client = match checked.clone() {
            Ok(kubeconfig) => connect(kubeconfig).await,
            Err(refusal) => Err(refusal),
        };
        let client = match client {
            Ok(client) => client,
            Err(refusal) => {
                self.clients.set(cluster, None);
                self.refuse(cluster, secret, &refusal);
                return None;
            }
        };
        self.clients.set(cluster, Some(client.clone()));
        tracing::info!(cluster, %secret, "linked");
        let link = Link {
            cluster: cluster.clone(),
            secret: secret.clone(),
            client,
            families: self.linked.families,
            limit: self.linked.limit,
            index: self.index.clone(),
            watches: self.linked.watches.clone(),
            transitions: self.transitions.clone(),
            reach_changed: Notify::new(),
        };
        Some(self.tasks.spawn(link.follow()))
    }

    fn refuse(&self, cluster: &str, secret: &SecretName, refusal: &Refusal) {
        let why = format!("its credentials are not used: {refusal}");
        let mut transition = None;
        self.index.update(|index| {
            let (news, affected) =
                index.change_reach(cluster, |reach, _| reach.refused(why.clone()));
            transition = news;
            affected
        });
        if let Some(what) = transition {
            self.report(cluster, secret, what, &format!("{why}. {NEXT}"));
        }
    }

    fn report(&self, cluster: &str, secret: &SecretName, what: Transition, why: &str) {
        // The receiver is gone while the process stops.
        let _ = self.transitions.send(LinkTransition::new(
            cluster,
            secret,
            what,
            why,
            self.linked.limit,
        ));
    }
}

pub(crate) async fn connect(kubeconfig: Checked) -> Result<Client, Refusal> {
    let mut config = kubeconfig.config().await?;
    config.connect_timeout = Some(CONNECT);
    // A connection that broke without a sign is found by this timeout.
    config.read_timeout = Some(READ_TIMEOUT);
    config.reset_reader_on_write = true;
    // Whether it answers is observed here, and retries are decided here.
    config.default_retry = false;
    let client = ClientBuilder::try_from(config).map_err(|error| Checked::unusable(&error))?;
    Ok(client.with_layer(&AndThenLayer::new(answer::classify)).build())
}
