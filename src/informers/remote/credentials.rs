//! The Secrets by which clusters are linked, as `linkerd multicluster link-gen` writes them.
//!
//! No `Debug` here shows the content of a Secret, nor its annotations: `kubectl apply` keeps a copy of the
//! data in one.

use crate::index::down_facts::{DeclaredCluster, DownFacts};
use crate::informers::remote::kubeconfig::{Checked, Refusal, check};
use crate::kinds::ObjectKey;
use k8s_openapi::ByteString;
use k8s_openapi::NamespaceResourceScope;
use kube::Resource;
use kube::core::ObjectMeta;
use serde::Deserialize;
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

/// The type of every such Secret.
pub(crate) const TYPE: &str = "mirror.linkerd.io/remote-kubeconfig";
const CLUSTER_NAME: &str = "multicluster.linkerd.io/cluster-name";
const PREFIX: &str = "cluster-credentials-";

/// A Secret of the type that Linkerd keeps kubeconfigs in.
#[derive(Clone, Deserialize)]
pub(crate) struct CredentialsSecret {
    metadata: ObjectMeta,
    data: Option<Data>,
}

#[derive(Clone, Deserialize)]
struct Data {
    kubeconfig: Option<ByteString>,
}

impl fmt::Debug for CredentialsSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Secret {:?}", self.metadata.name)
    }
}

impl Resource for CredentialsSecret {
    type DynamicType = ();
    type Scope = NamespaceResourceScope;

    fn kind((): &()) -> Cow<'_, str> {
        "Secret".into()
    }
    fn group((): &()) -> Cow<'_, str> {
        "".into()
    }
    fn version((): &()) -> Cow<'_, str> {
        "v1".into()
    }
    fn plural((): &()) -> Cow<'_, str> {
        "secrets".into()
    }
    fn meta(&self) -> &ObjectMeta {
        &self.metadata
    }
    fn meta_mut(&mut self) -> &mut ObjectMeta {
        &mut self.metadata
    }
}

/// The Secret that an Event is about.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct SecretName {
    pub namespace: String,
    pub name: String,
    pub uid: String,
    pub resource_version: String,
}

impl fmt::Display for SecretName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

/// The credentials of a cluster, as a Secret has them.
#[derive(Clone)]
pub(crate) struct Credentials {
    pub cluster: String,
    pub secret: SecretName,
    bytes: Vec<u8>,
    pub checked: Result<Checked, Refusal>,
    /// That all Services of the cluster are declared down.
    declared_down: Option<DownFacts>,
}

impl Credentials {
    /// None where the Secret names no cluster: by the label, as in Linkerd's namespace, or by its name.
    pub(crate) fn read(secret: &CredentialsSecret) -> Option<Self> {
        let metadata = &secret.metadata;
        let name = metadata.name.clone().unwrap_or_default();
        let label = metadata.labels.as_ref().and_then(|labels| labels.get(CLUSTER_NAME));
        let cluster = label.map(String::as_str).or(name.strip_prefix(PREFIX));
        let cluster = cluster.filter(|cluster| !cluster.is_empty())?.to_owned();
        let bytes = secret.data.as_ref().and_then(|data| data.kubeconfig.clone());
        let bytes = bytes.map(|bytes| bytes.0).unwrap_or_default();
        let secret = SecretName {
            namespace: metadata.namespace.clone().unwrap_or_default(),
            name,
            uid: metadata.uid.clone().unwrap_or_default(),
            resource_version: metadata.resource_version.clone().unwrap_or_default(),
        };
        let declared_down = metadata.annotations.as_ref().and_then(DownFacts::read);
        Some(Self { cluster, secret, checked: check(&bytes), bytes, declared_down })
    }

    /// Whether both lead to the same API server as the same user.
    pub(crate) fn is_same_as(&self, other: &Self) -> bool {
        self.bytes == other.bytes
    }
}

/// All credentials, by the namespace's place and the Secret's name.
pub(crate) type AllCredentials = BTreeMap<(usize, String), Credentials>;

/// The credentials to use for each cluster: the first usable ones, in the order of the namespaces; without
/// any the first, so that the reason is reported.
pub(crate) fn chosen(all: &AllCredentials) -> BTreeMap<&str, &Credentials> {
    let mut chosen: BTreeMap<&str, &Credentials> = BTreeMap::new();
    for credentials in all.values() {
        let there = chosen.entry(&credentials.cluster).or_insert(credentials);
        if there.checked.is_err() && credentials.checked.is_ok() {
            *there = credentials;
        }
    }
    chosen
}

/// The clusters whose Services are declared down, each by the first of its Secrets that declares anything.
pub(crate) fn declared_down(all: &AllCredentials) -> BTreeMap<Box<str>, DeclaredCluster> {
    let mut declared = BTreeMap::new();
    for Credentials { cluster, secret, declared_down, .. } in all.values() {
        if let Some(facts) = declared_down.clone() {
            let uid = secret.uid.as_str().into();
            let secret = ObjectKey::new(&secret.namespace, &secret.name);
            let of_secret = DeclaredCluster { facts, secret, uid };
            declared.entry(cluster.as_str().into()).or_insert(of_secret);
        }
    }
    declared
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn secret(name: &str, labels: Value, kubeconfig: &str) -> CredentialsSecret {
        let bytes = ByteString(kubeconfig.as_bytes().to_vec());
        serde_json::from_value(json!({
            "metadata": {"name": name, "namespace": "linkerd-multicluster", "labels": labels,
                "annotations": {"kubectl.kubernetes.io/last-applied-configuration": kubeconfig}},
            "data": {"kubeconfig": bytes, "else": "no base64 at all"},
        }))
        .unwrap()
    }

    const GOOD: &str = r#"{"current-context": "x", "contexts": [{"name": "x", "context": {"cluster": "x"}}],
        "clusters": [{"name": "x", "cluster": {"server": "https://x"}}]}"#;

    fn cluster(secret: &CredentialsSecret) -> Option<String> {
        Credentials::read(secret).map(|credentials| credentials.cluster)
    }

    #[test]
    fn the_label_names_the_cluster_or_else_the_name_does() {
        let labels = json!({CLUSTER_NAME: "west"});
        assert_eq!(cluster(&secret("cluster-credentials-x", labels, "")).unwrap(), "west");
        assert_eq!(cluster(&secret("cluster-credentials-x", json!({}), "")).unwrap(), "x");
        assert_eq!(cluster(&secret("cluster-credentials-", json!({}), "")), None);
        assert_eq!(cluster(&secret("another", json!({}), "")), None);
    }

    #[test]
    fn of_two_secrets_for_a_cluster_the_first_that_can_be_used_is() {
        let read = |kubeconfig| {
            Credentials::read(&secret("cluster-credentials-x", json!({}), kubeconfig)).unwrap()
        };
        let mut all = AllCredentials::new();
        all.insert((0, "a".into()), read("nonsense"));
        assert!(chosen(&all)["x"].checked.is_err());
        all.insert((1, "a".into()), read(GOOD));
        all.insert((2, "a".into()), read("nonsense too"));
        assert!(chosen(&all)["x"].is_same_as(&read(GOOD)));
    }

    #[test]
    fn the_annotations_of_a_secret_declare_its_whole_cluster_down() {
        let mut down = secret("cluster-credentials-x", json!({}), GOOD);
        let until =
            ("failover.linkerd.io/down-until".to_owned(), "2026-01-31T14:30:00Z".to_owned());
        down.metadata.annotations.get_or_insert_default().extend([until]);
        let plain = secret("cluster-credentials-y", json!({}), GOOD);
        let read = |secret: &CredentialsSecret| Credentials::read(secret).unwrap();
        assert!(read(&plain).is_same_as(&read(&down)), "it is not linked anew for it");
        let all =
            AllCredentials::from([((0, "x".into()), read(&down)), ((0, "y".into()), read(&plain))]);
        let declared = declared_down(&all);
        assert_eq!(declared.keys().map(|cluster| &**cluster).collect::<Vec<_>>(), ["x"]);
        assert_eq!(declared["x"].secret.to_string(), "linkerd-multicluster/cluster-credentials-x");
    }

    #[test]
    fn nothing_of_a_secret_is_shown() {
        let shown = format!("{:?}", secret("cluster-credentials-x", json!({}), "token-of-ana"));
        assert_eq!(shown, r#"Secret Some("cluster-credentials-x")"#);
    }
}
