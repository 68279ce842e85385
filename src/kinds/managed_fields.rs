//! The owners of an object's fields, as the API server keeps it in `metadata.managedFields`.

use crate::kinds::{CLI_MANAGER, FIELD_MANAGER, Kind};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ManagedFieldsEntry;

const SPEC: &str = "/f:spec";

/// As whom linkerd-failover 0.1 wrote weights.
const PREDECESSOR: &str = "failover.linkerd.io";

/// What matters of an object's field owners.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Owners {
    /// Positions of the entries, ours and our predecessor's, that claim `spec`: applying it
    /// server-side would be a conflict, also the first time.
    pub claims: Box<[usize]>,
    /// The other writer of the weights, where they are no longer as this program wrote them.
    pub other: Option<Box<str>>,
}

impl Owners {
    pub(crate) fn read(kind: Kind, entries: &[ManagedFieldsEntry]) -> Self {
        let weights = kind.weights_pointer();
        let owns = |entry: &ManagedFieldsEntry, path| {
            entry.fields_v1.as_ref().is_some_and(|fields| fields.0.pointer(path).is_some())
        };
        let by = |entry: &ManagedFieldsEntry, name| entry.manager.as_deref() == Some(name);
        let ours = |entry: &ManagedFieldsEntry| by(entry, FIELD_MANAGER);
        let claims = |entry: &ManagedFieldsEntry| {
            let by_us = ours(entry) || by(entry, CLI_MANAGER);
            let by_us = by_us && entry.operation.as_deref() == Some("Update");
            (by_us || by(entry, PREDECESSOR)) && owns(entry, SPEC)
        };
        let entry_claims = entries.iter().enumerate().filter(|(_, entry)| claims(entry));
        // The list is atomic: who changes a weight takes all of it from the others.
        let others = entries.iter().filter(|entry| !ours(entry) && owns(entry, weights));
        let last = others.max_by_key(|entry| entry.time.as_ref().map(|time| time.0));
        Self {
            claims: entry_claims.map(|(position, _)| position).collect(),
            other: last.and_then(|entry| entry.manager.as_deref()).map(Into::into),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn owners(entries: Value) -> Owners {
        Owners::read(Kind::TrafficSplit, &serde_json::from_value::<Vec<_>>(entries).unwrap())
    }

    fn entry(manager: &str, operation: &str, time: &str, fields: Value) -> Value {
        json!({"manager": manager, "operation": operation, "time": time,
               "fieldsV1": fields, "fieldsType": "FieldsV1"})
    }

    fn backends() -> Value {
        json!({"f:spec": {"f:backends": {}}})
    }

    fn labels() -> Value {
        json!({"f:metadata": {"f:labels": {}}})
    }

    const EARLY: &str = "2026-01-01T00:00:00Z";
    const LATE: &str = "2026-01-02T00:00:00Z";

    #[test]
    fn our_claim_and_our_predecessors_are_found_whether_anybody_applies_or_not() {
        let ours = entry(FIELD_MANAGER, "Update", LATE, backends());
        let theirs = entry(PREDECESSOR, "Update", EARLY, backends());
        let helm = entry("helm", "Apply", EARLY, labels());
        let edit = entry("kubectl-edit", "Update", EARLY, backends());
        assert_eq!(*owners(json!([helm, ours])).claims, [1]);
        assert_eq!(*owners(json!([edit, ours])).claims, [1]);
        assert_eq!(*owners(json!([theirs, edit, ours])).claims, [0, 2]);
        let ours_without = entry(FIELD_MANAGER, "Update", LATE, labels());
        assert!(owners(json!([helm, edit, ours_without])).claims.is_empty());
    }

    #[test]
    fn the_other_writer_is_the_last_one_of_the_weights() {
        let one = entry("argocd-controller", "Update", LATE, backends());
        let two = entry("kubectl-edit", "Update", EARLY, backends());
        let ours = entry(FIELD_MANAGER, "Update", LATE, backends());
        assert_eq!(owners(json!([one, two, ours])).other.as_deref(), Some("argocd-controller"));
        assert_eq!(owners(json!([])), Owners::default());
    }

    #[test]
    fn who_wrote_another_field_of_spec_in_the_same_second_is_not_the_other_writer() {
        let apex = json!({"f:spec": {"f:service": {}}});
        let author = entry("kubectl-client-side-apply", "Update", LATE, apex);
        let undoer = entry("argocd-controller", "Update", LATE, backends());
        let found = owners(json!([undoer, author])).other;
        assert_eq!(found.as_deref(), Some("argocd-controller"));
    }
}
