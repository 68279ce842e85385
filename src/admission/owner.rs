//! Objects that a tool for progressive delivery steers: it writes the very weights that we would.

use crate::failover::Problem;
use kube::ResourceExt;
use kube::core::DynamicObject;

/// A tool that steers objects, and the traces that it leaves on them.
struct Tool {
    name: &'static str,
    /// API group of the objects that own what it made.
    group: &'static str,
    /// Labels and annotations that it sets on what it steers.
    marks: &'static [(&'static str, &'static str)],
    next: &'static str,
}

const TOOLS: [Tool; 2] = [
    Tool {
        name: "Flagger",
        group: "flagger.app",
        marks: &[("app.kubernetes.io/managed-by", "flagger")],
        next: "Flagger writes the weights of this object again and again: let its Canary alone decide, or make an object of your own for another Service",
    },
    Tool {
        name: "Argo Rollouts",
        group: "argoproj.io",
        marks: &[("rollouts.argoproj.io/gatewayapi-canary", "in-progress")],
        next: "Argo Rollouts writes the weights of this object while it rolls out: let its Rollout alone decide, or make an object of your own for another Service",
    },
];

/// What is wrong with failing over an object that such a tool steers.
pub fn problem(object: &DynamicObject) -> Option<Problem> {
    TOOLS.iter().find_map(|tool| {
        let owner = object.owner_references().iter().find(|owner| {
            let group = owner.api_version.split('/').next();
            owner.api_version.contains('/') && group == Some(tool.group)
        });
        let (field, found) = match owner {
            Some(owner) => (
                "metadata.ownerReferences".to_owned(),
                format!("{} {}, of {}", owner.kind, owner.name, tool.name),
            ),
            None => {
                let mark = tool.marks.iter().find(|(name, value)| {
                    let is = |there: Option<&String>| there.is_some_and(|v| v == value);
                    is(object.labels().get(*name)) || is(object.annotations().get(*name))
                });
                let (name, value) = mark?;
                let place =
                    if object.labels().contains_key(*name) { "labels" } else { "annotations" };
                (format!("metadata.{place}[{name}]"), format!("{value:?}, by {}", tool.name))
            }
        };
        Some(
            Problem::error(field)
                .found(found)
                .expected("an object whose weights nobody else writes")
                .about(tool.name)
                .next(tool.next),
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn said(metadata: Value) -> Option<String> {
        let object = json!({"apiVersion": "v1", "kind": "X", "metadata": metadata});
        problem(&serde_json::from_value(object).unwrap()).map(|problem| problem.to_string())
    }

    #[test]
    fn what_flagger_or_argo_rollouts_steer_is_told_by_the_traces_they_leave() {
        let owned = |api_version: &str, kind: &str| {
            json!({"name": "r", "ownerReferences": [
                {"apiVersion": api_version, "kind": kind, "name": "emoji", "uid": "u"}]})
        };
        let flagger = said(owned("flagger.app/v1beta1", "Canary")).unwrap();
        assert!(flagger.contains("found Canary emoji, of Flagger"), "{flagger}");
        assert!(said(owned("argoproj.io/v1alpha1", "Rollout")).unwrap().contains("Argo Rollouts"));
        let label = json!({"labels": {"rollouts.argoproj.io/gatewayapi-canary": "in-progress"}});
        assert!(said(label).unwrap().contains("metadata.labels["));
        assert_eq!(said(owned("apps/v1", "Deployment")), None);
        assert_eq!(said(owned("v1", "Service")), None);
        assert_eq!(said(json!({"labels": {"app.kubernetes.io/managed-by": "Helm"}})), None);
    }
}
