//! A request to return to the primary ends a manual stay that began before it.

use super::rule::{Check, ObjectReview, Rule};
use crate::engine::{Problem, annotations, to_the_second};

/// Warns of a request without a manual failback, and of one in the future.
pub(super) const RULE: Rule = Rule { name: "failback_request", check: Check::Review(check) };

fn check(review: &ObjectReview<'_>) -> Vec<Problem> {
    problem(review).into_iter().collect()
}

fn problem(review: &ObjectReview<'_>) -> Option<Problem> {
    let (intent, view) = (review.intents.first()?, review.view);
    let (at, now) = (intent.policy.failback_requested?, view.now.wall);
    let warning = Problem::warning(annotations::field(annotations::FAILBACK_REQUESTED));
    if !intent.policy.manual_failback {
        return Some(warning.found("a request").expected(format!(
            "{}: manual beside it; without, traffic returns by itself",
            annotations::FAILBACK
        )));
    }
    (at > now).then(|| {
        warning
            .found(format!("{at}, which is to come"))
            .expected(format!("a time until now, {}", to_the_second(now)))
            .next("traffic returns then, if the primary is ready")
    })
}
