//! A backend whose health is unknown is no fallback while another is known to be ready.

use super::rule::{Check, Rule, SetReview};
use crate::engine::{Health, Problem, Unknown};

/// Warns of a backend whose endpoints cannot be seen.
pub(super) const RULE: Rule = Rule { name: "unknown_health", check: Check::Set(check) };

fn check(set: &SetReview<'_>) -> Vec<Problem> {
    let SetReview { intent, health, view, .. } = *set;
    let cannot = |health: &Health| match health {
        // Nothing named it before, so it is not watched yet.
        Health::Unknown(Unknown::NotYet | Unknown::NotListed { .. }) => false,
        // Known in a moment; and the rule `services` reports missing ports.
        Health::Unknown(Unknown::Changed { .. } | Unknown::NoSuchPort { .. }) => false,
        health => health.is_unknown(),
    };
    let backends = intent.indexed().zip(health);
    let unseen = backends.filter(|(_, health)| cannot(health));
    unseen
        .map(|((i, backend), health)| {
            Problem::warning(view.name_field(intent, i))
                .found(format!("{:?}, whose endpoints cannot be seen", backend.name))
                .expected("a backend whose health is known")
                .next(format!("{health}. Until it is known, it keeps traffic that it has, and gets some only while no other is known to be ready"))
        })
        .collect()
}
