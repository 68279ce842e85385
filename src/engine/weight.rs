//! Weights: what an author may write, and what the engine gives out.

use crate::engine::proportions::{self, Nanos};
use serde_json::Value;

/// The largest weight, and sum of weights, of a split: Linkerd multiplies them by 10,000 in 32 bits.
pub(crate) const MAX_WEIGHT: u32 = 429_496;

/// A weight as it stands in an object.
///
/// The schemas of `TrafficSplit` let fractions (`0.5`) and quantities (`"500m"`) through, so a
/// reader must expect them; only whole numbers are understood.
#[derive(Clone, Debug, PartialEq)]
pub enum ParsedWeight {
    /// A whole number within the bounds of its kind.
    Whole(u32),
    /// Anything else, as found.
    Unreadable(String),
}

impl ParsedWeight {
    /// Reads a weight of at most `most`; an absent one is `absent`.
    pub fn parse(value: Option<&Value>, absent: u32, most: u32) -> Self {
        let whole = match value {
            None | Some(Value::Null) => Some(u64::from(absent)),
            Some(Value::Number(number)) => match number.as_u64() {
                Some(whole) => Some(whole),
                // JSON writers may print 1 as 1.0.
                None => number
                    .as_f64()
                    .filter(|n| n.fract() == 0.0 && (0.0..=f64::from(most)).contains(n))
                    .map(|n| n as u64),
            },
            // v1alpha1 admits a quantity; one that is a plain integer means just that.
            Some(Value::String(text)) if text.bytes().all(|b| b.is_ascii_digit()) => {
                text.parse().ok()
            }
            Some(_) => None,
        };
        match whole.and_then(|n| u32::try_from(n).ok()) {
            Some(weight) if weight <= most => Self::Whole(weight),
            _ => Self::Unreadable(value.map(ToString::to_string).unwrap_or_default()),
        }
    }

    pub fn whole(&self) -> Option<u32> {
        match self {
            Self::Whole(weight) => Some(*weight),
            Self::Unreadable(_) => None,
        }
    }

    /// What it is in billionths, where it is any number that is not negative.
    pub(crate) fn nanos(&self) -> Option<Nanos> {
        match self {
            Self::Whole(weight) => Some(proportions::of_whole(*weight)),
            Self::Unreadable(_) => proportions::read(Some(&self.as_written())),
        }
    }

    /// As it stands in the object.
    pub fn as_written(&self) -> Value {
        match self {
            Self::Whole(weight) => Value::from(*weight),
            Self::Unreadable(found) => serde_json::from_str(found).unwrap_or_default(),
        }
    }
}

impl Default for ParsedWeight {
    fn default() -> Self {
        Self::Whole(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn whole_numbers_that_linkerd_can_carry_are_weights() {
        for (value, weight) in [
            (json!(0), 0),
            (json!(1), 1),
            (json!(1.0), 1),
            (json!(429_496), MAX_WEIGHT),
            (json!("7"), 7),
            (Value::Null, 0),
        ] {
            let read = ParsedWeight::parse(Some(&value), 0, MAX_WEIGHT);
            assert_eq!(read, ParsedWeight::Whole(weight), "{value}");
        }
        assert_eq!(ParsedWeight::parse(None, 0, MAX_WEIGHT), ParsedWeight::Whole(0));
        assert_eq!(ParsedWeight::parse(None, 1, MAX_WEIGHT), ParsedWeight::Whole(1));
    }

    #[test]
    fn anything_else_is_kept_as_found() {
        for value in [
            json!(-1),
            json!(0.5),
            json!(429_497),
            json!(1e300),
            json!(u64::MAX),
            json!("500m"),
            json!(""),
            json!("99999999999999999999999"),
            json!(true),
            json!([1]),
            json!({"a": 1}),
        ] {
            assert_eq!(
                ParsedWeight::parse(Some(&value), 0, MAX_WEIGHT),
                ParsedWeight::Unreadable(value.to_string()),
            );
        }
    }
}
