//! `TrafficSplit` (`split.smi-spec.io/v1alpha2`): the adapter.
//!
//! Read as a dynamic object: the schemas let through what a typed reader would stumble over, and
//! one such object in a LIST must not hide the others.

use crate::failover::{Declaration, DeclaredBackend, ParsedWeight, Problem};
use json_patch::jsonptr::PointerBuf;
use json_patch::{AddOperation, Patch, PatchOperation, RemoveOperation, ReplaceOperation};
use kube::ResourceExt;
use kube::core::{ApiResource, DynamicObject, GroupVersionKind};
use serde_json::{Value, json};

/// Where the API serves it.
pub fn api_resource() -> ApiResource {
    ApiResource::from_gvk(&GroupVersionKind::gvk("split.smi-spec.io", "v1alpha2", "TrafficSplit"))
}

/// Reads the declaration; what cannot be read is in its `unreadable`.
pub fn read(split: &DynamicObject) -> Declaration {
    let spec = split.data.get("spec").unwrap_or(&Value::Null);
    let mut unreadable = vec![];
    let apex = text(spec.get("service"), "spec.service", &mut unreadable);
    let backends = match spec.get("backends") {
        None | Some(Value::Null) => vec![],
        Some(Value::Array(backends)) => {
            let read = |(i, backend)| read_backend(i, backend, &mut unreadable);
            backends.iter().enumerate().map(read).collect()
        }
        Some(other) => {
            unreadable.push(
                Problem::error("spec.backends")
                    .found(kind_of(other))
                    .expected("a list of backends"),
            );
            vec![]
        }
    };
    Declaration { apex, backends, annotations: split.annotations().clone(), unreadable }
}

fn read_backend(i: usize, backend: &Value, unreadable: &mut Vec<Problem>) -> DeclaredBackend {
    let path = format!("spec.backends[{i}]");
    let field = format!("{path}.service");
    let name = text(backend.get("service"), &field, unreadable);
    if name.is_empty() && unreadable.iter().all(|p| p.field != field) {
        unreadable.push(Problem::error(field).found("nothing").expected("the name of a Service"));
    }
    DeclaredBackend { name, weight: ParsedWeight::parse(backend.get("weight")), path }
}

fn text(value: Option<&Value>, field: &str, unreadable: &mut Vec<Problem>) -> String {
    match value {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => text.clone(),
        Some(other) => {
            unreadable.push(
                Problem::error(field).found(kind_of(other)).expected("the name of a Service"),
            );
            String::new()
        }
    }
}

fn kind_of(value: &Value) -> String {
    match value {
        Value::Array(_) => "a list".into(),
        Value::Object(_) => "an object".into(),
        other => other.to_string(),
    }
}

/// Builds a JSON patch of a split. Paths by index hold because every patch of the controller
/// carries the resourceVersion it was decided from, and a webhook's applies to its own request.
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

    /// Sets every backend's weight: a patch of one alone is refused by the schema where another
    /// is stored as a string.
    pub fn weights(&mut self, weights: &[u32]) {
        for (i, weight) in weights.iter().enumerate() {
            self.add(&["spec", "backends", &i.to_string(), "weight"], json!(weight));
        }
    }

    /// Sets annotations; `any_there` says whether the object has an annotations field already.
    pub fn annotations(&mut self, any_there: bool, set: &[(&str, String)]) {
        if !any_there && !set.is_empty() {
            self.add(&["metadata", "annotations"], json!({}));
        }
        for (name, value) in set {
            self.add(&["metadata", "annotations", name], json!(value));
        }
    }

    /// Removes annotations that are there.
    pub fn remove_annotations<'a>(&mut self, names: impl IntoIterator<Item = &'a str>) {
        for name in names {
            let path = PointerBuf::from_tokens(["metadata", "annotations", name]);
            self.operations.push(PatchOperation::Remove(RemoveOperation { path }));
        }
    }

    /// Takes `spec` out of what the managedFields entry at this position claims.
    pub fn disclaim_spec(&mut self, position: usize) {
        let position = position.to_string();
        let path = ["metadata", "managedFields", &position, "fieldsV1", "f:spec"];
        let path = PointerBuf::from_tokens(path);
        self.operations.push(PatchOperation::Remove(RemoveOperation { path }));
    }

    pub fn is_empty(&self) -> bool {
        self.operations.is_empty()
    }

    pub fn into_patch(self) -> Patch {
        Patch(self.operations)
    }

    /// `add` also replaces, and a weight or an annotation may be absent.
    fn add(&mut self, path: &[&str], value: Value) {
        let path = PointerBuf::from_tokens(path.iter().copied());
        self.operations.push(PatchOperation::Add(AddOperation { path, value }));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(spec: Value) -> DynamicObject {
        serde_json::from_value(json!({
            "apiVersion": "split.smi-spec.io/v1alpha2",
            "kind": "TrafficSplit",
            "metadata": {"name": "emoji", "namespace": "emojivoto"},
            "spec": spec,
        }))
        .unwrap()
    }

    #[test]
    fn strings_and_fractions_are_read_as_what_they_are() {
        let read = read(&split(json!({"service": "a", "backends": [
            {"service": "a", "weight": "500m"}, {"service": "b", "weight": 0.5}, {"service": "c"},
        ]})));
        assert!(read.unreadable.is_empty());
        let weights: Vec<_> = read.backends.iter().map(|b| b.weight.whole()).collect();
        assert_eq!(weights, [None, None, Some(0)]);
    }

    #[test]
    fn any_shape_of_spec_is_read_without_a_panic_and_with_the_field_named() {
        for (spec, field) in [
            (json!(null), None),
            (json!([]), None),
            (json!("text"), None),
            (json!({"service": 1}), Some("spec.service")),
            (json!({"backends": {}}), Some("spec.backends")),
            (json!({"backends": [1]}), Some("spec.backends[0].service")),
            (json!({"backends": [{"service": []}]}), Some("spec.backends[0].service")),
        ] {
            let read = read(&split(spec.clone()));
            assert_eq!(read.unreadable.first().map(|p| p.field.as_str()), field, "{spec}");
        }
    }

    #[test]
    fn a_guarded_edit_begins_with_the_version_it_was_decided_from() {
        let mut edit = Edit::guarded_by("42");
        edit.weights(&[0, 1]);
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
            "path": "/spec/backends/1/weight",
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
