//! What linkerd-failover is measured against: a client that watches slices and, when those of a primary
//! lose or regain their last ready endpoint, patches the weights of the objects on it. It records nothing,
//! tells nobody, and asks nobody whether it may.
//!
//! It has what a fair one has: a process and a ServiceAccount of its own, watches of what linkerd-failover
//! watches, one HTTP/2 connection that is open before it is needed, and as many writes at once.

use super::bench::PATIENCE;
use super::child::Child;
use super::follow::{Change, follow};
use super::lean::{Any, Lean, Slice, Weighted};
use super::subject::{BARE, Subject, wanted};
use super::transport;
use anyhow::{Context, Result};
use futures::StreamExt;
use http::{Request, header};
use k8s_openapi::api::authentication::v1::TokenRequest;
use k8s_openapi::api::core::v1::ServiceAccount;
use kube::api::PostParams;
use kube::{Api, Client};
use std::collections::HashMap;
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use test_cluster::{Cluster, eventually};
use tokio::sync::mpsc;

/// The argument with which the benchmark's program is this client.
pub(crate) const ARGUMENT: &str = "bare-client";
/// As many writes at once as linkerd-failover makes.
const WRITES: usize = 32;
const TOKEN: &str = "BARE_CLIENT_TOKEN";

const RIGHTS: &str = r#"
apiVersion: v1
kind: ServiceAccount
metadata: {name: bare-client, namespace: default}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: bare-client}
rules:
- {apiGroups: [""], resources: [services], verbs: [list, watch]}
- {apiGroups: [discovery.k8s.io], resources: [endpointslices], verbs: [list, watch]}
- {apiGroups: [split.smi-spec.io], resources: [trafficsplits], verbs: [list, watch, patch]}
- {apiGroups: [gateway.networking.k8s.io], resources: [httproutes], verbs: [list, watch, patch]}
- {apiGroups: [linkerd.io], resources: [serviceprofiles], verbs: [list, watch, patch]}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: bare-client}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: bare-client}
subjects: [{kind: ServiceAccount, name: bare-client, namespace: default}]
"#;

/// Starts it for one kind of objects, which are there already; returns once it has seen everything.
pub(crate) async fn start(cluster: &Cluster, subject: Subject) -> Result<Child> {
    cluster.apply(RIGHTS).await?;
    let accounts: Api<ServiceAccount> = Api::namespaced(cluster.client(), "default");
    let token = eventually("the bare client gets a token", PATIENCE, || async {
        let (params, request) = (PostParams::default(), TokenRequest::default());
        let answer = accounts.create_token_request("bare-client", &params, &request).await?;
        answer.status.context("the token request has no answer")
    })
    .await?
    .token;
    let kubeconfig = cluster.kubeconfig().display().to_string();
    let arguments = [ARGUMENT, subject.plural(), &kubeconfig];
    let mut child = Child::start(&arguments, &[(TOKEN, &token)])?;
    child.line().await?;
    Ok(child)
}

/// Runs until the process is ended.
pub(crate) async fn run() -> Result<()> {
    let arguments: Vec<String> = std::env::args().collect();
    let [_, _, plural, kubeconfig] = &arguments[..] else {
        anyhow::bail!("found {arguments:?}, expected a kind and a kubeconfig")
    };
    let token = std::env::var(TOKEN).context(TOKEN)?;
    let config = transport::config(Path::new(kubeconfig), Some(&token)).await?;
    let (watches, quick) = (Client::try_from(config.clone())?, transport::quick(config).await?);
    let (patches, written) = mpsc::unbounded_channel();
    let bare = Bare { subject: Subject::of(plural)?, facts: Mutex::default(), patches };
    let all = async { tokio::try_join!(bare.watch(&watches), bare.write(&quick, written)) };
    all.await.map(drop)
}

/// A namespace and a name.
type Key = (String, String);

#[derive(Default)]
struct Facts {
    ready: HashMap<Key, bool>,
    versions: HashMap<Key, String>,
    /// The objects of each primary.
    on: HashMap<Key, Vec<Key>>,
    /// Of the three watches.
    listed: usize,
}

struct Bare {
    subject: Subject,
    facts: Mutex<Facts>,
    patches: mpsc::UnboundedSender<(Key, Vec<u8>)>,
}

impl Bare {
    async fn watch(&self, client: &Client) -> Result<()> {
        let objects = self.subject.everywhere();
        let services = |change| self.apply(change, |_, _: &Any| {});
        tokio::try_join!(
            follow(client, "/apis/discovery.k8s.io/v1/endpointslices", "", |change| {
                self.apply(change, |facts, slice: &Slice| self.react(facts, slice));
            }),
            follow(client, &objects, BARE, |change| self.apply(change, Facts::note)),
            follow(client, "/api/v1/services", "", services),
        )
        .map(drop)
    }

    fn apply<T: Lean>(&self, change: Change<T>, note: impl FnOnce(&mut Facts, &T)) {
        let mut facts = self.facts.lock().unwrap_or_else(PoisonError::into_inner);
        match change {
            Change::Is(object) => note(&mut facts, &object),
            Change::Listed => {
                facts.listed += 1;
                if facts.listed == 3 {
                    println!("ready");
                }
            }
        }
    }

    fn react(&self, facts: &mut Facts, slice: &Slice) {
        let Some(service) = slice.service() else { return };
        let (key, ready) = (key(&slice.meta().namespace, service), slice.is_ready());
        if facts.ready.insert(key.clone(), ready) != Some(!ready) {
            return;
        }
        for object in facts.on.get(&key).into_iter().flatten() {
            let patch = self.subject.patch(&facts.versions[object], wanted(ready));
            let _ = self.patches.send((object.clone(), patch));
        }
    }

    async fn write(
        &self,
        client: &Client,
        patches: mpsc::UnboundedReceiver<(Key, Vec<u8>)>,
    ) -> Result<()> {
        let queue =
            futures::stream::unfold(patches, async |mut queue| Some((queue.recv().await?, queue)));
        let patch = |((namespace, name), patch): (Key, Vec<u8>)| async move {
            let path =
                format!("{}/{name}?fieldManager=bare-client", self.subject.within(&namespace));
            let request = Request::patch(path)
                .header(header::CONTENT_TYPE, "application/json-patch+json")
                .body(patch)?;
            client.request_text(request).await.with_context(|| format!("{namespace}/{name}"))?;
            anyhow::Ok(())
        };
        let mut written = std::pin::pin!(queue.map(patch).buffer_unordered(WRITES));
        while let Some(outcome) = written.next().await {
            outcome?;
        }
        Ok(())
    }
}

impl Facts {
    fn note(&mut self, object: &Weighted) {
        let meta = object.meta();
        let own = key(&meta.namespace, &meta.name);
        let version = meta.resource_version.clone();
        if self.versions.insert(own.clone(), version).is_none()
            && let Some(primary) = meta.labels.get(BARE)
        {
            self.on.entry(key(&meta.namespace, primary)).or_default().push(own);
        }
    }
}

fn key(namespace: &str, name: &str) -> Key {
    (namespace.to_owned(), name.to_owned())
}
