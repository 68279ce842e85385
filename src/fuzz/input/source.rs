//! The bytes of an input as a sequence of choices.

use arbitrary::Unstructured;
use serde_json::{Value, json};

/// Choices from the bytes of an input. Where these end, every choice is the first.
pub(crate) struct Source<'a>(Unstructured<'a>);

impl<'a> Source<'a> {
    pub(crate) fn new(input: &'a [u8]) -> Self {
        Self(Unstructured::new(input))
    }

    /// A number below `bound`.
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        self.0.int_in_range(0..=bound.saturating_sub(1)).unwrap_or_default()
    }

    /// True once in so many times, and never after the last byte.
    pub(crate) fn one_in(&mut self, times: usize) -> bool {
        self.below(times) == times - 1
    }

    /// One of these texts.
    pub(crate) fn pick_str(&mut self, from: &[&'static str]) -> &'static str {
        from[self.below(from.len())]
    }

    /// One of these.
    pub(crate) fn pick<'b, T>(&mut self, from: &'b [T]) -> &'b T {
        &from[self.below(from.len())]
    }

    /// Some of these one after the other.
    pub(crate) fn text(&mut self, parts: &[&str], most: usize) -> String {
        (0..self.below(most + 1)).map(|_| *self.pick(parts)).collect()
    }

    /// A value of another shape than is expected.
    pub(crate) fn odd_value(&mut self) -> Value {
        let values = [
            Value::Null,
            json!([]),
            json!({}),
            json!(""),
            json!(0),
            json!(-1),
            json!(1.5),
            json!(true),
            json!(u64::MAX),
            json!(1e300),
            json!("\u{0}\u{1f600}"),
            json!([null, {"name": 1}]),
            json!({"name": [], "weight": "x", "port": -1}),
            json!("1"),
        ];
        self.pick(&values).clone()
    }

    /// Replaces or removes something in a document.
    pub(crate) fn damage(&mut self, document: &mut Value) {
        let mut here = document;
        for _ in 0..self.below(8) {
            // The borrow checker does not see that each arm ends the borrow of the other.
            let children = match here {
                Value::Array(items) => items.len(),
                Value::Object(fields) => fields.len(),
                _ => 0,
            };
            if children == 0 {
                break;
            }
            let place = self.below(children);
            let child = match here {
                Value::Array(items) => items.get_mut(place),
                Value::Object(fields) => fields.values_mut().nth(place),
                _ => None,
            };
            let Some(child) = child else { return };
            here = child;
        }
        *here = self.odd_value();
    }
}
