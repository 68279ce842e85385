//! `TrafficSplit` (`split.smi-spec.io`, `v1alpha1` to `v1alpha4`): the adapter.
//!
//! Read as a dynamic object: the schemas let through what a typed reader would stumble over, and
//! one such object in a LIST must not hide the others.

use crate::engine::{
    Annotations, Declaration, DeclaredBackend, DeclaredSet, Fault, FieldPath, ParsedWeight,
    Problem, Shape,
};
use crate::kinds::adapter::{Adapter, InUse};
use crate::kinds::value::{kind_of, text};
use kube::ResourceExt;
use kube::core::{ApiResource, DynamicObject};
use serde_json::Value;

/// The adapter.
pub(crate) static ADAPTER: Adapter = Adapter {
    group: "split.smi-spec.io",
    kind: "TrafficSplit",
    plural: "trafficsplits",
    // All have the backends alike. Read through an older one, a split loses the `matches` that a newer
    // one has, and a patch would store it without them.
    versions: &["v1alpha4", "v1alpha3", "v1alpha2", "v1alpha1"],
    shape: Shape::ONE_SET,
    weights_path: "spec.backends[*].weight",
    weights_pointer: "/f:spec/f:backends",
    adds_up: false,
    needs_service_profile: true,
    // Its ServiceProfile hides what asks for retries.
    retries: &[],
    read,
    // Nothing reports it for a split.
    in_use: |_| InUse::Yes,
};

/// Where the API serves the version that linkerd-smi and the chart install.
pub fn api_resource() -> ApiResource {
    ADAPTER.api_resource("v1alpha2")
}

/// Reads the declaration; what cannot be read is in its `unreadable`.
pub fn read(split: &DynamicObject) -> Declaration {
    let spec = split.data.get("spec").unwrap_or(&Value::Null);
    let mut unreadable = vec![];
    let apex = text(spec.get("service"), &"spec.service".into(), &mut unreadable);
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
    Declaration {
        apexes: Some(apex).filter(|apex| !apex.is_empty()).into_iter().collect(),
        sets: vec![DeclaredSet {
            backends,
            path: Shape::ONE_SET.backends.into(),
            ..DeclaredSet::default()
        }],
        annotations: Annotations::read(split.annotations().clone(), Shape::ONE_SET.limits.weight),
        unreadable,
        shape: Shape::ONE_SET,
    }
}

fn read_backend(i: usize, backend: &Value, unreadable: &mut Vec<Problem>) -> DeclaredBackend {
    let path = FieldPath::from(Shape::ONE_SET.backends).index(i);
    let field = path.field("service");
    let before = unreadable.len();
    let name = text(backend.get("service"), &field, unreadable);
    if name.is_empty() && unreadable.len() == before {
        unreadable.push(Problem::error(field).found("nothing").expected("the name of a Service"));
    }
    let fault = name.is_empty().then(|| Fault::NoService("it names no Service".into()));
    let most = Shape::ONE_SET.limits.weight;
    let weight = ParsedWeight::parse(backend.get("weight"), 0, most);
    DeclaredBackend { name, weight, port: None, path, entry: i, fault }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

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
        let weights: Vec<_> = read.backends().map(|b| b.weight.whole()).collect();
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
            assert_eq!(
                read.unreadable.first().map(|p| p.field.to_string()).as_deref(),
                field,
                "{spec}"
            );
        }
    }
}
