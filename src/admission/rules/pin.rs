//! A pin wins over health, until it ends.

use super::rule::{Check, Rule, SetReview};
use crate::engine::{BackendIndex, Health, Problem, annotations, to_the_second};

/// Warns of a pin that has ended, and of one to a backend that is not ready. Nothing is denied for the
/// time of day.
pub(super) const RULE: Rule = Rule { name: "pin", check: Check::Set(check) };

fn check(set: &SetReview<'_>) -> Vec<Problem> {
    problem(set).into_iter().collect()
}

fn problem(set: &SetReview<'_>) -> Option<Problem> {
    let SetReview { intent, health, view, .. } = *set;
    let now = view.now.wall;
    let pin = intent.policy.pin.as_ref()?;
    if let Some(until) = pin.until.filter(|until| *until <= now) {
        return Some(
            Problem::warning(annotations::field(annotations::PIN_UNTIL))
                .found(format!("{until}, which is past"))
                .expected(format!("a time after now, {}", to_the_second(now)))
                .next("the pin has ended: health decides"),
        );
    }
    let health = |i: &BackendIndex| i.of(health).unwrap_or(&Health::Missing);
    if pin.backends.iter().map(health).any(|health| health.is_partly_ready() || health.is_unknown())
    {
        return None;
    }
    let named = |i: &BackendIndex| format!("{} ({})", intent.backends[*i].name, health(i));
    Some(
        Problem::warning(annotations::field(annotations::PIN))
            .found(pin.backends.iter().map(named).collect::<Vec<_>>().join(", "))
            .expected("a backend with ready endpoints; a pin wins over health, so callers will get errors")
            .next(format!("remove {} to let health decide", annotations::PIN)),
    )
}
