//! What stays of an installation once its objects are given back.

use crate::runtime::options::Installation;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::coordination::v1::Lease;
use kube::api::{DeleteParams, ListParams};
use kube::core::{ApiResource, DynamicObject, GroupVersionKind};
use kube::{Api, Client, ResourceExt};

/// By which the objects of the chart are known.
const LABELS: &str = "linkerd.io/extension=failover,app.kubernetes.io/name=linkerd-failover";

/// What the chart may have, in the order in which it goes. Custom resources and namespaces are left out: whatever
/// others have in them would go too.
const KINDS: [(&str, &str, &str, &str); 23] = [
    ("apps", "v1", "Deployment", "deployments"),
    ("policy", "v1", "PodDisruptionBudget", "poddisruptionbudgets"),
    ("", "v1", "Service", "services"),
    ("", "v1", "ConfigMap", "configmaps"),
    ("", "v1", "Secret", "secrets"),
    ("networking.k8s.io", "v1", "NetworkPolicy", "networkpolicies"),
    ("cert-manager.io", "v1", "Certificate", "certificates"),
    ("cert-manager.io", "v1", "Issuer", "issuers"),
    ("monitoring.coreos.com", "v1", "PodMonitor", "podmonitors"),
    ("monitoring.coreos.com", "v1", "ServiceMonitor", "servicemonitors"),
    ("monitoring.coreos.com", "v1", "PrometheusRule", "prometheusrules"),
    ("policy.linkerd.io", "v1alpha1", "AuthorizationPolicy", "authorizationpolicies"),
    ("policy.linkerd.io", "v1alpha1", "NetworkAuthentication", "networkauthentications"),
    ("policy.linkerd.io", "v1beta3", "Server", "servers"),
    (ADMISSION, "v1", "ValidatingAdmissionPolicyBinding", "validatingadmissionpolicybindings"),
    (ADMISSION, "v1", "ValidatingAdmissionPolicy", "validatingadmissionpolicies"),
    (FLOW_CONTROL, "v1", "FlowSchema", "flowschemas"),
    (FLOW_CONTROL, "v1", "PriorityLevelConfiguration", "prioritylevelconfigurations"),
    (RBAC, "v1", "RoleBinding", "rolebindings"),
    (RBAC, "v1", "Role", "roles"),
    (RBAC, "v1", "ClusterRoleBinding", "clusterrolebindings"),
    (RBAC, "v1", "ClusterRole", "clusterroles"),
    ("", "v1", "ServiceAccount", "serviceaccounts"),
];
const ADMISSION: &str = "admissionregistration.k8s.io";
const FLOW_CONTROL: &str = "flowcontrol.apiserver.k8s.io";
const RBAC: &str = "rbac.authorization.k8s.io";

const WEBHOOKS: [(&str, &str); 2] = [
    ("MutatingWebhookConfiguration", "mutatingwebhookconfigurations"),
    ("ValidatingWebhookConfiguration", "validatingwebhookconfigurations"),
];

/// A failed request, and what it was made for.
#[derive(Debug, thiserror::Error)]
#[error("{what}: {error}")]
pub(crate) struct NotListed {
    pub what: &'static str,
    pub error: kube::Error,
}

/// Removes the webhooks of an installation, or names them only. Returns their names.
pub(crate) async fn remove_webhooks(
    client: &Client,
    installation: &Installation,
    dry_run: bool,
) -> Result<Vec<String>, NotListed> {
    let mut removed = vec![];
    let others = others(client, installation).await?;
    for (kind, plural) in WEBHOOKS {
        let api = api(client, (ADMISSION, "v1", kind, plural));
        for object in of(&api, installation, &others, plural).await? {
            let (name, params) = (object.name_any(), DeleteParams::default());
            let deleted = if dry_run { Ok(()) } else { api.delete(&name, &params).await.map(drop) };
            match deleted {
                Err(kube::Error::Api(status)) if status.code == 404 => {}
                other => other.map_err(|error| NotListed { what: plural, error })?,
            }
            removed.push(format!("{}/{name}", kind.to_ascii_lowercase()));
        }
    }
    Ok(removed)
}

/// What is left, as manifests that `kubectl delete -f -` takes; the release of Helm that it is of, if any.
pub(crate) async fn rest(
    client: &Client,
    installation: &Installation,
) -> Result<(String, Option<String>), NotListed> {
    let (mut text, mut release) = (String::new(), None);
    let others = others(client, installation).await?;
    for kind in KINDS {
        for object in of(&api(client, kind), installation, &others, kind.3).await? {
            release = release.or_else(|| helm_release(&object));
            let api_version = if kind.0.is_empty() {
                kind.1.to_owned()
            } else {
                format!("{}/{}", kind.0, kind.1)
            };
            text.push_str(&document(&api_version, kind.2, &object.name_any(), object.namespace()));
        }
    }
    let leases: Api<Lease> = Api::namespaced(client.clone(), &installation.namespace);
    let lease = leases.get_opt(&installation.name).await;
    if lease.map_err(|error| NotListed { what: "leases", error })?.is_some() {
        let (version, namespace) = ("coordination.k8s.io/v1", installation.namespace.clone());
        text.push_str(&document(version, "Lease", &installation.name, Some(namespace)));
    }
    Ok((text, release))
}

fn helm_release(object: &DynamicObject) -> Option<String> {
    object.annotations().get("meta.helm.sh/release-name").cloned()
}

fn document(api_version: &str, kind: &str, name: &str, namespace: Option<String>) -> String {
    let namespace = namespace.map(|name| format!("  namespace: {name}\n")).unwrap_or_default();
    format!(
        "---\napiVersion: {api_version}\nkind: {kind}\nmetadata:\n  name: {name:?}\n{namespace}"
    )
}

fn api(client: &Client, kind: (&str, &str, &str, &str)) -> Api<DynamicObject> {
    let (group, version, kind, plural) = kind;
    let gvk = GroupVersionKind::gvk(group, version, kind);
    Api::all_with(client.clone(), &ApiResource::from_gvk_with_plural(&gvk, plural))
}

/// The objects of an installation; none where the cluster has no such kind.
async fn of(
    api: &Api<DynamicObject>,
    installation: &Installation,
    others: &[Installation],
    what: &'static str,
) -> Result<Vec<DynamicObject>, NotListed> {
    let is_its = |object: &DynamicObject| is_of(object, installation, others);
    match api.list(&ListParams::default().labels(LABELS)).await {
        Ok(list) => Ok(list.items.into_iter().filter(is_its).collect()),
        Err(kube::Error::Api(status)) if status.code == 404 => Ok(vec![]),
        Err(error) => Err(NotListed { what, error }),
    }
}

/// The other installations of the cluster.
async fn others(
    client: &Client,
    installation: &Installation,
) -> Result<Vec<Installation>, NotListed> {
    let deployments: Api<Deployment> = Api::all(client.clone());
    let list = deployments.list(&ListParams::default().labels(LABELS)).await;
    let list = list.map_err(|error| NotListed { what: "deployments", error })?;
    let all = list.items.into_iter().map(|deployment| Installation {
        name: deployment.name_any(),
        namespace: deployment.namespace().unwrap_or_default(),
    });
    let is_other = |other: &Installation| {
        other.name != installation.name || other.namespace != installation.namespace
    };
    Ok(all.filter(is_other).collect())
}

/// Whether an object is of this installation and not of another: by its name, else by its namespace.
fn is_of(object: &DynamicObject, installation: &Installation, others: &[Installation]) -> bool {
    let (name, namespace) = (object.name_any(), object.namespace());
    let is_named = |by: &Installation| {
        let rest = name.strip_prefix(&by.name);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
    };
    let is_in = |by: &Installation| namespace.as_deref() == Some(&by.namespace);
    // The name of one may begin with that of another.
    let is_nearer = |other: &Installation| other.name.len() > installation.name.len();
    match is_named(installation) {
        true => !others.iter().any(|other| is_named(other) && is_nearer(other)),
        false => is_in(installation) && !others.iter().any(|other| is_named(other) || is_in(other)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn an_object_belongs_to_an_installation_by_its_namespace_or_its_name() {
        let installation = Installation { name: "fo".into(), namespace: "mesh".into() };
        let second = Installation { name: "fo-second".into(), namespace: "second".into() };
        let object = |name: &str, namespace: Option<&str>| -> DynamicObject {
            let metadata = json!({"name": name, "namespace": namespace});
            serde_json::from_value(json!({"metadata": metadata})).unwrap()
        };
        for (name, namespace, of_one, of_other) in [
            ("fo", None, true, false),
            ("fo-webhook-ca", Some("monitoring"), true, false),
            ("anything", Some("mesh"), true, false),
            ("fo2", None, false, false),
            ("other", Some("elsewhere"), false, false),
            // The other one's name begins with that of the first.
            ("fo-second", None, false, true),
            ("fo-second-links", Some("multicluster"), false, true),
            ("fo-second", Some("mesh"), false, true),
        ] {
            let object = object(name, namespace);
            let is_of = |one, other| is_of(&object, one, std::slice::from_ref(other));
            assert_eq!(is_of(&installation, &second), of_one, "{object:?}");
            assert_eq!(is_of(&second, &installation), of_other, "{object:?}");
        }
        // Nobody's name, in the namespace of both.
        let same = Installation { name: "other".into(), ..installation.clone() };
        assert!(!is_of(&object("anything", Some("mesh")), &installation, &[same]));
    }

    /// Whoever adds a kind to the chart has to add it here.
    #[test]
    fn every_kind_of_the_charts_default_is_known() {
        let chart = include_str!("../../manifests/install.yaml");
        for kind in chart.lines().filter_map(|line| line.strip_prefix("kind: ")) {
            let is_webhook = WEBHOOKS.iter().any(|(known, _)| *known == kind);
            assert!(is_webhook || KINDS.iter().any(|known| known.2 == kind), "{kind}");
        }
    }
}
