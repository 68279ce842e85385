//! Annotations under our prefix that have no effect.

use super::rule::{Check, ObjectReview, Rule};
use crate::engine::{Problem, annotations};

/// Warns of each of them, with the nearest name that has an effect.
pub(super) const RULE: Rule = Rule { name: "unknown_annotations", check: Check::Review(check) };

fn check(review: &ObjectReview<'_>) -> Vec<Problem> {
    annotations::without_effect(review.new.declared.annotations.as_map())
}
