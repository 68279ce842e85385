//! A set needs a fallback, and a backend with ready endpoints.

use super::rule::{Check, Rule, SetReview};
use crate::engine::{Health, Problem};

/// Warns of a set with one backend, and of one without a ready endpoint.
pub(super) const RULE: Rule = Rule { name: "ready_backend", check: Check::Set(check) };

fn check(set: &SetReview<'_>) -> Vec<Problem> {
    let SetReview { intent, health, .. } = *set;
    let warning = || Problem::warning(&intent.path);
    if let [only] = intent.backends.as_slice() {
        return vec![
            warning()
                .found(format!("{:?} alone", only.name))
                .expected("a fallback beside it")
                .next("with one backend there is nowhere to go"),
        ];
    }
    if health.iter().map(Health::undeclared).any(|h| h.is_partly_ready() || h.is_unknown()) {
        return vec![];
    }
    let each =
        intent.backends.iter().zip(health).map(|(b, health)| format!("{}: {health}", b.name));
    vec![
        warning()
            .found(each.collect::<Vec<_>>().join(", "))
            .expected("a backend with ready endpoints")
            .next("callers get errors until there is one"),
    ]
}
