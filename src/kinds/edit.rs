//! JSON patches of failover objects.

use crate::engine::FieldPath;
use json_patch::jsonptr::{PointerBuf, Token};
use json_patch::{AddOperation, Patch, PatchOperation, RemoveOperation, ReplaceOperation};
use serde_json::{Value, json};
use std::borrow::Cow;

/// Builds a JSON patch. Paths by index hold because every patch of the controller carries the
/// resourceVersion it was decided from, and a webhook's applies to its own request.
#[derive(Default)]
pub struct Edit {
    operations: Vec<PatchOperation>,
}

impl Edit {
    /// Refuses the patch, with 409, on any version but this one.
    pub fn guarded_by(resource_version: &str) -> Self {
        let mut edit = Self::default();
        edit.operations.push(PatchOperation::Replace(ReplaceOperation {
            path: PointerBuf::from_tokens(["metadata", "resourceVersion"]),
            value: json!(resource_version),
        }));
        edit
    }

    /// Sets the weight of the backend at this path, such as `spec.backends[0]`. All weights of
    /// a split must be set: a patch of one alone is refused by the schema where another is stored
    /// as a string.
    pub fn weight(&mut self, backend: &FieldPath, weight: u32) {
        self.weight_as(backend, json!(weight));
    }

    /// The same, as an author may write it.
    pub fn weight_as(&mut self, backend: &FieldPath, weight: Value) {
        self.add(backend.field("weight").tokens(), weight);
    }

    /// Sets annotations; `any_there` says whether the object has an annotations field already.
    pub fn annotations(&mut self, any_there: bool, set: &[(&str, String)]) {
        if !any_there && !set.is_empty() {
            self.add(["metadata", "annotations"], json!({}));
        }
        for (name, value) in set {
            self.add(["metadata", "annotations", name], json!(value));
        }
    }

    /// Removes annotations that are there.
    pub fn remove_annotations<'a>(&mut self, names: impl IntoIterator<Item = &'a str>) {
        for name in names {
            self.remove(&["metadata", "annotations", name]);
        }
    }

    /// Sets a field, whether it is there or not; its parent must be there.
    pub fn set(&mut self, path: &[&str], value: Value) {
        self.add(path.iter().copied(), value);
    }

    /// Removes a field that is there.
    pub fn remove(&mut self, path: &[&str]) {
        let path = PointerBuf::from_tokens(path.iter().copied());
        self.operations.push(PatchOperation::Remove(RemoveOperation { path }));
    }

    /// Takes `spec` out of what the managedFields entry at this position claims. The entry stays, so
    /// that others keep their positions.
    pub fn disclaim_spec(&mut self, position: usize) {
        let position = position.to_string();
        let path = ["metadata", "managedFields", &position, "fieldsV1", "f:spec"];
        let path = PointerBuf::from_tokens(path);
        self.operations.push(PatchOperation::Remove(RemoveOperation { path }));
    }

    /// These edits, and others after them.
    pub fn and(mut self, others: Self) -> Self {
        self.operations.extend(others.operations);
        self
    }

    /// Whether nothing is edited.
    pub fn is_empty(&self) -> bool {
        self.operations.is_empty()
    }

    /// The JSON patch of all edits, in their order.
    pub fn into_patch(self) -> Patch {
        Patch(self.operations)
    }

    /// `add` also replaces, and a weight or an annotation may be absent.
    fn add<'a>(&mut self, path: impl IntoIterator<Item = impl Into<Cow<'a, str>>>, value: Value) {
        let path = PointerBuf::from_tokens(path.into_iter().map(|token| Token::new(token.into())));
        self.operations.push(PatchOperation::Add(AddOperation { path, value }));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_guarded_edit_begins_with_the_version_it_was_decided_from() {
        let mut edit = Edit::guarded_by("42");
        edit.weight(&FieldPath::from("spec.backends").index(0), 0);
        let rule = FieldPath::from("spec.rules").index(1);
        edit.weight(&rule.field("backendRefs").index(10), 1);
        edit.annotations(false, &[("failover.linkerd.io/state", "{}".into())]);
        insta::assert_json_snapshot!(edit.into_patch(), @r#"
        [
          {
            "op": "replace",
            "path": "/metadata/resourceVersion",
            "value": "42"
          },
          {
            "op": "add",
            "path": "/spec/backends/0/weight",
            "value": 0
          },
          {
            "op": "add",
            "path": "/spec/rules/1/backendRefs/10/weight",
            "value": 1
          },
          {
            "op": "add",
            "path": "/metadata/annotations",
            "value": {}
          },
          {
            "op": "add",
            "path": "/metadata/annotations/failover.linkerd.io~1state",
            "value": "{}"
          }
        ]
        "#);
    }
}
