//! Rules of a route that do not fail over, beside others that do.

use super::rule::{Check, ObjectReview, Rule};
use crate::engine::{DeclaredSet, Problem, Severity, annotations, no_primary};

/// Warns of each rule without failover. An object that cannot be read has errors instead.
pub(super) const RULE: Rule = Rule { name: "rules_without_failover", check: Check::Review(check) };

fn check(review: &ObjectReview<'_>) -> Vec<Problem> {
    let (declared, is_read) = (&review.new.declared, review.is_readable());
    let undecided = declared.without_primary().filter(|_| is_read);
    let mut warnings: Vec<Problem> =
        undecided.map(|set| Problem { severity: Severity::Warning, ..no_primary(set) }).collect();
    let Some(named) = declared.authored_primary().filter(|_| is_read) else { return warnings };
    let failing_over: Vec<&str> = declared.failing_over().map(|set| set.name.as_str()).collect();
    let others = declared.sets.iter().filter(|set| {
        // With one backend there is nowhere to go.
        set.backends.len() > 1 && !failing_over.contains(&set.name.as_str())
    });
    warnings.extend(others.map(|set| without_named(set, named)));
    warnings
}

fn without_named(set: &DeclaredSet, named: &str) -> Problem {
    let names: Vec<&str> = set.names().collect();
    Problem::warning(&set.path)
        .found(names.join(", "))
        .expected(format!(
            "a backend that {} names ({named}): without one this rule is left as it is and does not fail over",
            annotations::PRIMARY_SERVICE
        ))
        .about(set.name.as_str())
        .next(format!(
            "name its primary there too, as in {named},{}; or remove the annotation: then each rule's own first backend is its primary",
            names.first().copied().unwrap_or_default()
        ))
}
