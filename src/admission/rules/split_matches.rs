//! `spec.matches` is of the Service Mesh Interface, and never carried into Linkerd.

use super::rule::{Check, ObjectReview, Rule};
use crate::engine::Problem;

/// Warns of a split with groups of routes.
pub(super) const RULE: Rule = Rule { name: "split_matches", check: Check::Review(check) };

fn check(review: &ObjectReview<'_>) -> Vec<Problem> {
    problem(review).into_iter().collect()
}

fn problem(review: &ObjectReview<'_>) -> Option<Problem> {
    let applies = review.is_readable() && review.view.kind.needs_service_profile();
    let split = Some(review.new.object).filter(|_| applies)?;
    let matches = split.data.pointer("/spec/matches")?.as_array()?;
    (!matches.is_empty()).then(|| {
        Problem::warning("spec.matches")
            .found("groups of routes")
            .expected("none")
            .next("Linkerd does not follow them: all traffic of the apex is split")
    })
}
