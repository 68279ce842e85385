//! A pause holds everything, until it ends.

use super::rule::{Check, Rule, SetReview};
use crate::engine::{Problem, annotations, to_the_second};

/// Warns of a pause that has ended. Nothing is denied for the time of day.
pub(super) const RULE: Rule = Rule { name: "pause", check: Check::Set(check) };

fn check(set: &SetReview<'_>) -> Vec<Problem> {
    let (policy, now) = (&set.intent.policy, set.view.now.wall);
    let ended = policy.paused_until.filter(|until| policy.paused && *until <= now);
    let problem = ended.map(|until| {
        Problem::warning(annotations::field(annotations::PAUSED_UNTIL))
            .found(format!("{until}, which is past"))
            .expected(format!("a time after now, {}", to_the_second(now)))
            .next("the pause has ended: weights are written again")
    });
    problem.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use crate::admission::test_support::{World, split, validate};
    use serde_json::json;

    #[test]
    fn a_pause_that_has_ended_is_warned_about_and_one_that_lasts_is_not() {
        let world = World::with(&[("emoji-svc", 1), ("emoji-svc-west", 1)]);
        for (until, warned) in [(-1, true), (1, false)] {
            let until = world.now.wall + jiff::SignedDuration::from_secs(until);
            let until = until.to_string();
            let annotations = [
                ("failover.linkerd.io/paused", "true"),
                ("failover.linkerd.io/paused-until", until.as_str()),
            ];
            let backends = [("emoji-svc", json!(1)), ("emoji-svc-west", json!(0))];
            let validation = validate(None, &split(&backends, &annotations), &world.view());
            assert!(validation.errors.is_empty(), "{:?}", validation.errors);
            let found =
                validation.warnings.iter().any(|w| w.to_string().contains("the pause has ended"));
            assert_eq!(found, warned, "{:?}", validation.warnings);
        }
    }
}
