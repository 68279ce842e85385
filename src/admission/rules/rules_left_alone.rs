//! Rules of a route that do not fail over, beside others that do: their author is told which.

use crate::engine::{Declaration, DeclaredSet, Problem, Severity, annotations, no_primary};

/// A word on each rule that is left alone; `is_read` says whether the object can be read, and what
/// is wrong with all of it is said elsewhere.
pub(crate) fn warnings(declared: &Declaration, is_read: bool) -> Vec<Problem> {
    let untold = declared.without_primary().filter(|_| is_read);
    let mut warnings: Vec<Problem> =
        untold.map(|set| Problem { severity: Severity::Warning, ..no_primary(set) }).collect();
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
