//! Reading JSON whose shape nobody vouches for.

use crate::engine::{FieldPath, Problem};
use serde_json::Value;

/// The name of a Service; `""` where there is none, with a problem where there is something else.
pub(super) fn text(
    value: Option<&Value>,
    field: &FieldPath,
    unreadable: &mut Vec<Problem>,
) -> String {
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

/// What something is, for a sentence.
pub(super) fn kind_of(value: &Value) -> String {
    match value {
        Value::Array(_) => "a list".into(),
        Value::Object(_) => "an object".into(),
        other => other.to_string(),
    }
}
