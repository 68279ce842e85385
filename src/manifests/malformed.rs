//! Fields that no API server takes: a number as a label, a text as a port.

use crate::engine::{FieldPath, Problem};
use serde::de::DeserializeOwned;
use serde_json::Value;
use serde_path_to_error::Segment;

/// Reads an object, or tells which of its fields cannot be read.
pub(crate) fn read<T: DeserializeOwned>(object: &Value) -> Result<T, Problem> {
    serde_path_to_error::deserialize(object)
        .map_err(|error| problem(object, &path(error.path()), &error.inner().to_string()))
}

fn path(found: &serde_path_to_error::Path) -> FieldPath {
    let mut path = FieldPath::default();
    for segment in found {
        path = match segment {
            Segment::Seq { index } => path.index(*index),
            Segment::Map { key } if is_map(&path) => path.key(key),
            Segment::Map { key } => path.field(key.clone()),
            Segment::Enum { .. } | Segment::Unknown => break,
        };
    }
    path
}

/// Whether the keys in it are not the API's.
fn is_map(path: &FieldPath) -> bool {
    let last = path.tokens().last();
    last.is_some_and(|name| ["labels", "annotations", "selector"].contains(&&*name))
}

fn problem(object: &Value, path: &FieldPath, message: &str) -> Problem {
    let value = value_of(object, path);
    let expected = message.rsplit_once(", expected ").map(|(_, expected)| expected);
    let problem = Problem::error(path).found(shown(value));
    let Some(expected) = expected.map(as_written) else {
        return problem
            .expected(format!("what an API server takes ({message})"))
            .next("see it explained by kubectl explain");
    };
    let next = match value {
        Value::Number(_) | Value::Bool(_) if expected == TEXT => "put it into quotes",
        Value::String(_) if expected == NUMBER => "write it as a number, without quotes",
        Value::Null => "write one, or take the field out",
        _ => "see it explained by kubectl explain",
    };
    problem.expected(expected).next(next)
}

const TEXT: &str = "a text";
const NUMBER: &str = "a whole number";

/// Types of Rust are nothing to whoever writes manifests.
fn as_written(expected: &str) -> &str {
    match expected {
        "a string" => TEXT,
        "i32" | "i64" | "u16" | "u32" | "u64" => NUMBER,
        "a map" | "ObjectMeta" => "fields with their values",
        _ if expected.starts_with("struct ") => "fields with their values",
        "a sequence" => "a list",
        other => other,
    }
}

fn value_of<'a>(object: &'a Value, path: &FieldPath) -> &'a Value {
    path.tokens().fold(object, |value, token| match value {
        Value::Array(items) => {
            token.parse().ok().and_then(|nth: usize| items.get(nth)).unwrap_or(&Value::Null)
        }
        other => &other[&*token],
    })
}

fn shown(value: &Value) -> String {
    match value {
        Value::Null => "nothing".to_owned(),
        Value::Array(_) => "a list".to_owned(),
        Value::Object(_) => "fields".to_owned(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use k8s_openapi::api::core::v1::Service;
    use kube::ResourceExt;
    use kube::core::DynamicObject;
    use serde_json::json;

    fn problem<T: DeserializeOwned>(object: &Value) -> String {
        let Err(problem) = read::<T>(object) else { panic!("{object} can be read") };
        problem.to_string()
    }

    #[test]
    fn the_field_that_cannot_be_read_is_named() {
        let split = |metadata: Value| problem::<DynamicObject>(&json!({"metadata": metadata}));
        insta::assert_snapshot!(split(json!({"name": 5})), @"metadata.name: found 5, expected a text; put it into quotes");
        insta::assert_snapshot!(split(json!({"labels": {"a.b/c": true}})), @"metadata.labels[a.b/c]: found true, expected a text; put it into quotes");
        insta::assert_snapshot!(split(json!({"annotations": {"a": null}})), @"metadata.annotations[a]: found nothing, expected a text; write one, or take the field out");
        insta::assert_snapshot!(split(json!({"annotations": ["a"]})), @"metadata.annotations: found a list, expected fields with their values; see it explained by kubectl explain");
        insta::assert_snapshot!(split(json!("emoji")), @r#"metadata: found "emoji", expected fields with their values; see it explained by kubectl explain"#);
        insta::assert_snapshot!(split(json!({"creationTimestamp": "2026-01-31"})), @r#"metadata.creationTimestamp: found "2026-01-31", expected what an API server takes (failed to find time component, which is required for parsing a timestamp); see it explained by kubectl explain"#);
        let service = json!({"spec": {"ports": [{"port": 80}, {"port": "80"}]}});
        insta::assert_snapshot!(problem::<Service>(&service), @r#"spec.ports[1].port: found "80", expected a whole number; write it as a number, without quotes"#);
    }

    #[test]
    fn what_can_be_read_is() {
        let object = json!({"metadata": {"name": "emoji", "managedFields": [{"manager": "x"}]}});
        let read: DynamicObject = read(&object).unwrap();
        assert_eq!(read.managed_fields().len(), 1);
    }
}
