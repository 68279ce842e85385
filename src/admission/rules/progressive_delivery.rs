//! A tool for progressive delivery writes the same weights as failover.

use super::rule::{Check, Rule};
use crate::admission::reviewed_object::ReviewedObject;
use crate::admission::sent_object::SentObject;
use crate::admission::view::View;
use crate::engine::{FieldPath, Problem};
use crate::kinds::Kind;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ManagedFieldsEntry;
use kube::ResourceExt;

/// Denies an object whose weights such a tool writes.
pub(super) const RULE: Rule = Rule { name: "progressive_delivery", check: Check::Object(check) };

fn check(object: &ReviewedObject<'_>, view: &View<'_>) -> Vec<Problem> {
    problem(view.kind, object.object).into_iter().collect()
}

/// A tool that writes weights, and its traces in the objects.
struct Tool {
    name: &'static str,
    /// API group and kind of the owners of objects that it creates.
    owner: (&'static str, &'static str),
    /// A label that it sets on objects while it writes them.
    label: Option<(&'static str, &'static str)>,
    /// The field managers by which it writes weights.
    managers: &'static [&'static str],
    next: &'static str,
}

const TOOLS: [Tool; 2] = [
    Tool {
        name: "Flagger",
        owner: ("flagger.app", "Canary"),
        label: None,
        managers: &["flagger"],
        next: "Flagger writes the weights of this object again and again: let its Canary alone decide, or make an object of your own for another Service",
    },
    Tool {
        name: "Argo Rollouts",
        owner: ("argoproj.io", "Rollout"),
        // Only while it rolls out.
        label: Some(("rollouts.argoproj.io/gatewayapi-canary", "in-progress")),
        managers: &["rollouts-controller", "gatewayAPI"],
        next: "Argo Rollouts writes the weights of this object while it rolls out: let its Rollout alone decide, or make an object of your own for another Service",
    },
];

fn problem(kind: Kind, object: &SentObject) -> Option<Problem> {
    TOOLS.iter().find_map(|tool| {
        let (field, found) = tool.trace(kind, object)?;
        Some(
            Problem::error(field)
                .found(format!("{found}, of {}", tool.name))
                .expected("an object whose weights nobody else writes")
                .about(tool.name)
                .next(tool.next),
        )
    })
}

impl Tool {
    /// The field with a trace of the tool, and the trace.
    fn trace(&self, kind: Kind, object: &SentObject) -> Option<(FieldPath, String)> {
        let owner = object.owner_references().iter().find(|owner| {
            let group = owner.api_version.split_once('/').map(|(group, _)| group);
            (group, owner.kind.as_str()) == (Some(self.owner.0), self.owner.1)
        });
        if let Some(owner) = owner {
            let found = format!("{} {}", owner.kind, owner.name);
            return Some(("metadata.ownerReferences".into(), found));
        }
        if let Some((name, value)) = self.label
            && object.labels().get(name).is_some_and(|there| there == value)
        {
            return Some((FieldPath::from("metadata.labels").key(name), format!("{value:?}")));
        }
        if !object.has_field_owner(|manager, _| self.managers.contains(&manager)) {
            return None;
        }
        let writes = |entry: &&ManagedFieldsEntry| {
            let manager = entry.manager.as_deref().unwrap_or_default();
            let fields = entry.fields_v1.as_ref();
            self.managers.contains(&manager)
                && fields.is_some_and(|fields| fields.0.pointer(kind.weights_pointer()).is_some())
        };
        let entry = object.managed_fields().iter().find(writes)?;
        let manager = entry.manager.as_deref().unwrap_or_default();
        Some(("metadata.managedFields".into(), format!("weights written by {manager}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn message(metadata: Value) -> Option<String> {
        let object = json!({"apiVersion": "v1", "kind": "X", "metadata": metadata});
        let object = serde_json::from_value(object).unwrap();
        problem(Kind::HttpRoute, &object).map(|problem| problem.to_string())
    }

    #[test]
    fn objects_of_flagger_and_argo_rollouts_are_recognized_by_their_traces() {
        let owned = |api_version: &str, kind: &str| {
            json!({"name": "r", "ownerReferences": [
                {"apiVersion": api_version, "kind": kind, "name": "emoji", "uid": "u"}]})
        };
        let flagger = message(owned("flagger.app/v1beta1", "Canary")).unwrap();
        assert!(flagger.contains("found Canary emoji, of Flagger"), "{flagger}");
        assert!(
            message(owned("argoproj.io/v1alpha1", "Rollout")).unwrap().contains("Argo Rollouts")
        );
        let label = json!({"labels": {"rollouts.argoproj.io/gatewayapi-canary": "in-progress"}});
        assert!(message(label).unwrap().contains("metadata.labels["));
        let wrote = |fields: Value| {
            json!({"managedFields": [{"manager": "gatewayAPI", "operation": "Update",
                "fieldsType": "FieldsV1", "fieldsV1": fields}]})
        };
        assert!(message(wrote(json!({"f:spec": {"f:rules": {}}}))).unwrap().contains("gatewayAPI"));
        assert_eq!(message(wrote(json!({"f:metadata": {}}))), None);
        assert_eq!(message(owned("argoproj.io/v1alpha1", "Workflow")), None);
        assert_eq!(message(owned("apps/v1", "Deployment")), None);
        assert_eq!(message(owned("v1", "Service")), None);
        assert_eq!(message(json!({"labels": {"app.kubernetes.io/managed-by": "Helm"}})), None);
    }
}
