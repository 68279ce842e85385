//! Ports that callers ask for and that a backend does not serve.

use super::rule::{Check, Rule, SetReview};
use crate::engine::Problem;

/// Warns of a backend whose endpoints do not offer every port that callers ask for.
pub(super) const RULE: Rule = Rule { name: "unserved_port", check: Check::Set(check) };

fn check(set: &SetReview<'_>) -> Vec<Problem> {
    let SetReview { intent, health, view, .. } = *set;
    let backends = intent.indexed().zip(health);
    let short = backends.filter_map(|((i, backend), health)| {
        let ports = health.ports()?;
        let next = match (health.is_ready(), health.is_partly_ready()) {
            (true, _) if ports.never_served().is_empty() => return None,
            (true, _) => "it moves no traffic until an endpoint offers it once",
            (false, true) => {
                "it was served before: a backend that serves it and all that is left gets the traffic"
            }
            (false, false) if ports.offer_nothing() => {
                "name the port as the pods do in the Service's targetPort"
            }
            (false, false) => return None,
        };
        let found = format!("{:?}: {health}", backend.name);
        let expected = "endpoints that offer every port that callers ask for";
        Some(Problem::warning(view.name_field(intent, i)).found(found).expected(expected).next(next))
    });
    short.collect()
}
