//! Who wrote an annotation, as far as the API server keeps it in `metadata.managedFields`.

use jiff::Timestamp;
use kube::ResourceExt;
use kube::core::DynamicObject;

/// Who wrote an annotation last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct FieldWriter {
    pub annotation: &'static str,
    pub value: String,
    /// The field manager; mostly the name of a program.
    pub manager: String,
    /// When that manager wrote last, this annotation or others.
    pub at: Option<Timestamp>,
}

impl FieldWriter {
    /// Who wrote an annotation of an object; none where it is not there, or nobody is known for it.
    pub(crate) fn of(object: &DynamicObject, annotation: &'static str) -> Option<Self> {
        let value = object.annotations().get(annotation)?;
        let entries = object.metadata.managed_fields.as_deref().unwrap_or_default();
        let field = format!("f:{annotation}");
        let owners = entries.iter().filter(|entry| {
            let fields = entry.fields_v1.as_ref().map(|fields| &fields.0);
            fields.is_some_and(|fields| !fields["f:metadata"]["f:annotations"][&field].is_null())
        });
        let last = owners.max_by_key(|entry| entry.time.as_ref().map(|time| time.0))?;
        Some(Self {
            annotation,
            value: value.clone(),
            manager: last.manager.clone()?,
            at: last.time.as_ref().map(|time| time.0),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::annotations::{PAUSED, PIN};
    use serde_json::json;

    #[test]
    fn the_last_owner_of_an_annotation_wrote_it() {
        let entry = |manager: &str, time: &str| {
            json!({"manager": manager, "time": time, "operation": "Update",
                "fieldsV1": {"f:metadata": {"f:annotations": {".": {}, format!("f:{PIN}"): {}}}}})
        };
        let object: DynamicObject = serde_json::from_value(json!({"metadata": {
            "name": "emoji", "annotations": {PIN: "emoji-svc", PAUSED: "true"},
            "managedFields": [
                entry("kubectl-annotate", "2026-11-26T02:00:00Z"),
                entry("helm", "2026-11-26T01:00:00Z"),
            ],
        }}))
        .unwrap();
        let writer = FieldWriter::of(&object, PIN).unwrap();
        assert_eq!(
            (writer.value.as_str(), writer.manager.as_str()),
            ("emoji-svc", "kubectl-annotate")
        );
        assert_eq!(writer.at.unwrap().to_string(), "2026-11-26T02:00:00Z");
        assert_eq!(FieldWriter::of(&object, PAUSED), None, "nobody is known for it");
    }
}
