//! Admission policies of somebody else.

use anyhow::Result;
use serde_json::{Value, json};
use test_cluster::Cluster;

/// What a policy is about: an operation on a resource.
pub(crate) struct Refused<'a> {
    pub(crate) group: &'a str,
    pub(crate) operation: &'a str,
    pub(crate) resource: &'a str,
}

/// Updates of TrafficSplits.
pub(crate) const SPLIT_UPDATES: Refused<'_> =
    Refused { group: "split.smi-spec.io", operation: "UPDATE", resource: "trafficsplits" };

/// Installs a policy of this name, which denies what does not pass the validation.
pub(crate) async fn deny_by_policy(
    cluster: &Cluster,
    name: &str,
    what: Refused<'_>,
    validation: Value,
) -> Result<()> {
    let policy = json!({
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "ValidatingAdmissionPolicy",
        "metadata": {"name": name},
        "spec": {
            "failurePolicy": "Fail",
            "matchConstraints": {"resourceRules": [{
                "apiGroups": [what.group], "apiVersions": ["*"],
                "operations": [what.operation], "resources": [what.resource],
            }]},
            "validations": [validation],
        },
    });
    let binding = json!({
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "ValidatingAdmissionPolicyBinding",
        "metadata": {"name": name},
        "spec": {"policyName": name, "validationActions": ["Deny"]},
    });
    cluster.apply(&format!("{policy}\n---\n{binding}")).await?;
    Ok(())
}
