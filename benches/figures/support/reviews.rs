//! AdmissionReviews as the API server makes them.

use serde_json::{Value, json};

/// What the reviews are of.
pub(crate) struct Reviewed<'a> {
    pub group: &'a str,
    pub version: &'a str,
    pub kind: &'a str,
    pub resource: &'a str,
}

pub(crate) const TRAFFIC_SPLIT: Reviewed<'_> = Reviewed {
    group: "split.smi-spec.io",
    version: "v1alpha2",
    kind: "TrafficSplit",
    resource: "trafficsplits",
};

pub(crate) const POD: Reviewed<'_> =
    Reviewed { group: "", version: "v1", kind: "Pod", resource: "pods" };

/// A review of an object in a namespace, its own or `emojivoto`; `old` is what it was, or null.
pub(crate) fn review(
    of: &Reviewed<'_>,
    operation: &str,
    object: &Value,
    old: &Value,
    user: &Value,
    options: &Value,
) -> Value {
    let Reviewed { group, version, kind, resource } = of;
    let kind = json!({"group": group, "version": version, "kind": kind});
    let resource = json!({"group": group, "version": version, "resource": resource});
    let named = &if object.is_null() { old } else { object }["metadata"];
    let namespace = named["namespace"].as_str().unwrap_or("emojivoto");
    json!({"kind": "AdmissionReview", "apiVersion": "admission.k8s.io/v1", "request": {
        "uid": "705ab4f5-6393-11e8-b7cc-42010a800002",
        "kind": kind, "resource": resource, "requestKind": kind, "requestResource": resource,
        "name": named["name"], "namespace": namespace, "operation": operation,
        "userInfo": user, "object": object, "oldObject": old, "dryRun": false, "options": options,
    }})
}

/// The user that kubeadm makes, as it authenticates with a certificate.
pub(crate) fn kubernetes_admin() -> Value {
    json!({"username": "kubernetes-admin",
        "groups": ["kubeadm:cluster-admins", "system:authenticated"],
        "extra": {"authentication.kubernetes.io/credential-id": ["X509SHA256=4cf1d4c4"]}})
}
