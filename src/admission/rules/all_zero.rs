//! Weights that are all zero leave proxies on their old weights for good: the controller never writes
//! them.

use super::rule::{Check, ObjectReview, Rule};
use crate::engine::{DeclaredSet, Problem};

/// Denies an edit that makes every weight of a set zero; warns of such weights at birth, and of
/// preexisting ones.
pub(super) const RULE: Rule = Rule { name: "all_zero", check: Check::Review(check) };

fn check(review: &ObjectReview<'_>) -> Vec<Problem> {
    let (declared, previous) = (review.normalized, review.previous.as_ref());
    let is_zero = |weight: Option<u32>| weight == Some(0);
    let all_zero = |set: &&DeclaredSet| {
        !set.backends.is_empty()
            && !set.is_alone()
            && set.backends.iter().all(|b| is_zero(b.weight.whole()))
    };
    let failing_over: Vec<&str> = declared.failing_over().map(|set| set.name.as_str()).collect();
    let problem = |set: &DeclaredSet| {
        let was = previous.and_then(|previous| previous.set(&set.name));
        let is_preexisting =
            was.is_some_and(|was| !was.live.is_empty() && was.live.values().all(|w| *w == 0));
        // At birth the weights are provisional, and the first flip corrects them.
        let is_ours =
            failing_over.contains(&set.name.as_str()) && (review.is_paused() || previous.is_some());
        let problem = match is_ours && !is_preexisting {
            true => Problem::error(&set.path),
            false => Problem::warning(&set.path),
        };
        problem
            .found("weight 0 for every backend")
            .expected("a backend with weight")
            .next("with none, Linkerd's proxies fail, or go on by their old weights for good; give 1 to the backend that is to have the traffic")
    };
    declared.sets.iter().filter(all_zero).map(problem).collect()
}
