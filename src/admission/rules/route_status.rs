//! Linkerd routes by an object that is Accepted, with ResolvedRefs.

use super::rule::{Check, ObjectReview, Rule};
use crate::engine::Problem;
use crate::kinds::adapter::InUse;

/// Warns of a route that Linkerd does not use as it stands.
pub(super) const RULE: Rule = Rule { name: "route_status", check: Check::Review(check) };

fn check(review: &ObjectReview<'_>) -> Vec<Problem> {
    problem(review).into_iter().collect()
}

fn problem(review: &ObjectReview<'_>) -> Option<Problem> {
    let kind = review.view.kind;
    if !review.is_readable() || kind.needs_service_profile() {
        return None;
    }
    let InUse::No(why) = kind.in_use(review.new.object) else { return None };
    Some(
        Problem::warning("status.parents").found(why).expected("Accepted and ResolvedRefs").next(
            "until then Linkerd does not route by this object, or answers a part of it with 500",
        ),
    )
}
