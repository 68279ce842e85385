//! A cluster linked to another, as `linkerd multicluster link-gen` does it.

use crate::api_proxy::ApiProxy;
use crate::cluster::Cluster;
use crate::wait::eventually;
use anyhow::Context;
use base64::{Engine, prelude::BASE64_STANDARD};
use k8s_openapi::api::core::v1::Secret;
use kube::api::{Api, DeleteParams};
use serde_json::{Value, json};
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(60);

/// Where the Secrets of linked clusters are, and in them the accounts that others come with.
pub const NAMESPACE: &str = "linkerd-multicluster";
const ACCOUNT: &str = "linkerd-service-mirror-remote-access-default";

/// What another cluster is looked into with: an account there, and its static token.
#[derive(Clone)]
pub struct Link {
    cluster: String,
    server: String,
    ca: String,
    token: String,
    token_secret: String,
}

impl Link {
    /// Makes the account in `remote`, which is called `cluster`, with the rights that Linkerd
    /// gives it.
    pub async fn create(remote: &Cluster, cluster: &str) -> anyhow::Result<Self> {
        remote.apply(&account().to_string()).await?;
        let site = remote.site();
        let mut link = Self {
            cluster: cluster.into(),
            server: site.server.clone(),
            ca: BASE64_STANDARD.encode(&site.ca),
            token: String::new(),
            token_secret: String::new(),
        };
        link.new_token(remote, 0).await?;
        Ok(link)
    }

    /// A link to a server that is not a cluster's.
    pub fn to(cluster: &str, server: &str, ca_of: &Cluster) -> Self {
        Self {
            cluster: cluster.into(),
            server: server.into(),
            ca: BASE64_STANDARD.encode(&ca_of.site().ca),
            token: "no-token".into(),
            token_secret: String::new(),
        }
    }

    /// The same account, reached only through this proxy.
    pub fn through(mut self, proxy: &ApiProxy) -> Self {
        self.server = proxy.url();
        self
    }

    /// Another token takes the place of this one, which is worth nothing from now on.
    pub async fn rotated(&self, remote: &Cluster) -> anyhow::Result<Self> {
        let mut link = self.clone();
        link.new_token(remote, 1).await?;
        let secrets: Api<Secret> = Api::namespaced(remote.client(), NAMESPACE);
        secrets.delete(&self.token_secret, &DeleteParams::default()).await?;
        Ok(link)
    }

    async fn new_token(&mut self, remote: &Cluster, nth: usize) -> anyhow::Result<()> {
        self.token_secret = format!("{ACCOUNT}-token-{nth}");
        let secret = json!({
            "apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/service-account-token",
            "metadata": {
                "name": self.token_secret, "namespace": NAMESPACE,
                "annotations": { "kubernetes.io/service-account.name": ACCOUNT },
            },
        });
        remote.apply(&secret.to_string()).await?;
        let secrets: Api<Secret> = Api::namespaced(remote.client(), NAMESPACE);
        self.token = eventually("the account has a token", PATIENCE, || async {
            let data = secrets.get(&self.token_secret).await?.data.unwrap_or_default();
            let token = data.get("token").context("it has none")?;
            anyhow::Ok(String::from_utf8(token.0.clone())?)
        })
        .await?;
        Ok(())
    }

    /// What nobody may find in a log.
    pub fn token(&self) -> &str {
        &self.token
    }

    /// The kubeconfig as linkerd writes it.
    pub fn kubeconfig(&self) -> String {
        let Self { cluster, server, ca, token, .. } = self;
        format!(
            "apiVersion: v1
clusters:
- cluster:
    certificate-authority-data: {ca}
    server: {server}
  name: {cluster}
contexts:
- context:
    cluster: {cluster}
    user: {ACCOUNT}
  name: {cluster}
current-context: {cluster}
kind: Config
preferences: {{}}
users:
- name: {ACCOUNT}
  user:
    token: {token}
"
        )
    }

    /// The Secret's name.
    pub fn secret(&self) -> String {
        format!("cluster-credentials-{}", self.cluster)
    }

    /// Links it to `here`, or updates the link.
    pub async fn apply(&self, here: &Cluster) -> anyhow::Result<()> {
        self.apply_kubeconfig(here, &self.kubeconfig()).await
    }

    /// The same with another kubeconfig.
    pub async fn apply_kubeconfig(&self, here: &Cluster, text: &str) -> anyhow::Result<()> {
        let secret = json!({
            "apiVersion": "v1", "kind": "Secret", "type": "mirror.linkerd.io/remote-kubeconfig",
            "metadata": { "name": self.secret(), "namespace": NAMESPACE },
            "data": { "kubeconfig": BASE64_STANDARD.encode(text) },
        });
        here.apply(&secret.to_string()).await?;
        Ok(())
    }

    /// Takes the link away from `here`.
    pub async fn remove(&self, here: &Cluster) -> anyhow::Result<()> {
        let secrets: Api<Secret> = Api::namespaced(here.client(), NAMESPACE);
        secrets.delete(&self.secret(), &DeleteParams::default()).await?;
        Ok(())
    }
}

impl Cluster {
    /// The namespace in which other clusters are linked to this one.
    pub async fn create_multicluster_namespace(&self) -> anyhow::Result<()> {
        self.apply(&namespace().to_string()).await?;
        Ok(())
    }
}

fn namespace() -> Value {
    json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": NAMESPACE } })
}

/// The account, and all that it may do.
fn account() -> Value {
    let rule = |group: &str, resources: &[&str]| json!({ "apiGroups": [group], "resources": resources, "verbs": ["get", "list", "watch"] });
    json!({ "apiVersion": "v1", "kind": "List", "items": [
        namespace(),
        {
            "apiVersion": "v1", "kind": "ServiceAccount",
            "metadata": { "name": ACCOUNT, "namespace": NAMESPACE },
        },
        {
            "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole",
            "metadata": { "name": ACCOUNT },
            "rules": [
                rule("", &["pods", "endpoints", "services"]),
                rule("discovery.k8s.io", &["endpointslices"]),
                rule("apps", &["replicasets"]),
                rule("batch", &["jobs"]),
                rule("policy.linkerd.io", &["servers"]),
            ],
        },
        {
            "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding",
            "metadata": { "name": ACCOUNT },
            "roleRef": {
                "apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": ACCOUNT,
            },
            "subjects": [
                { "kind": "ServiceAccount", "name": ACCOUNT, "namespace": NAMESPACE },
            ],
        },
    ]})
}
