//! Who owns what of an object, as the API server keeps it in `metadata.managedFields`.

use super::FIELD_MANAGER;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ManagedFieldsEntry;

/// What matters of an object's field owners.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Owners {
    /// Position of our own entry, where it claims `spec` beside a manager that applies: such a
    /// manager would meet a conflict with us.
    pub claim: Option<usize>,
    /// Whoever but us wrote `spec` last.
    pub other: Option<Box<str>>,
}

impl Owners {
    pub fn read(entries: &[ManagedFieldsEntry]) -> Self {
        let owns_spec = |entry: &ManagedFieldsEntry| {
            entry.fields_v1.as_ref().is_some_and(|fields| fields.0.get("f:spec").is_some())
        };
        let is =
            |entry: &ManagedFieldsEntry, operation| entry.operation.as_deref() == Some(operation);
        let ours = |entry: &ManagedFieldsEntry| entry.manager.as_deref() == Some(FIELD_MANAGER);
        let applied = entries.iter().any(|entry| is(entry, "Apply") && !ours(entry));
        let claim = entries.iter().position(|e| ours(e) && is(e, "Update") && owns_spec(e));
        let others = entries.iter().filter(|entry| !ours(entry) && owns_spec(entry));
        let last = others.max_by_key(|entry| entry.time.as_ref().map(|time| time.0));
        Self {
            claim: claim.filter(|_| applied),
            other: last.and_then(|entry| entry.manager.as_deref()).map(Into::into),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn owners(entries: Value) -> Owners {
        Owners::read(&serde_json::from_value::<Vec<_>>(entries).unwrap())
    }

    fn entry(manager: &str, operation: &str, time: &str, fields: &str) -> Value {
        json!({"manager": manager, "operation": operation, "time": time,
               "fieldsV1": {fields: {}}, "fieldsType": "FieldsV1"})
    }

    const EARLY: &str = "2026-01-01T00:00:00Z";
    const LATE: &str = "2026-01-02T00:00:00Z";

    #[test]
    fn our_claim_matters_only_beside_a_manager_that_applies() {
        let ours = entry(FIELD_MANAGER, "Update", LATE, "f:spec");
        let helm = entry("helm", "Apply", EARLY, "f:metadata");
        let edit = entry("kubectl-edit", "Update", EARLY, "f:spec");
        assert_eq!(owners(json!([helm, ours])).claim, Some(1));
        assert_eq!(owners(json!([edit, ours])).claim, None);
        let ours_without = entry(FIELD_MANAGER, "Update", LATE, "f:metadata");
        assert_eq!(owners(json!([helm, ours_without])).claim, None);
    }

    #[test]
    fn the_other_writer_is_the_last_one() {
        let one = entry("argocd-controller", "Update", LATE, "f:spec");
        let two = entry("kubectl-edit", "Update", EARLY, "f:spec");
        let ours = entry(FIELD_MANAGER, "Update", LATE, "f:spec");
        assert_eq!(owners(json!([one, two, ours])).other.as_deref(), Some("argocd-controller"));
        assert_eq!(owners(json!([])), Owners::default());
    }
}
