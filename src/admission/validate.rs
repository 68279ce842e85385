//! Validation: what failover could not work with is refused, what may hurt is said.

use super::advice::advice;
use super::known::Known;
use super::{View, in_outage, owner, rules_left_alone, services};
use crate::failover::{Declaration, Problem, annotations};
use kube::core::DynamicObject;

/// The judgement of an object.
#[derive(Debug, Default, PartialEq)]
pub struct Verdict {
    /// Each of these alone refuses the object.
    pub errors: Vec<Problem>,
    pub warnings: Vec<Problem>,
}

/// Judges the final object of a request, and trusts no mutator.
pub fn validate(old: Option<&DynamicObject>, new: &DynamicObject, view: &View<'_>) -> Verdict {
    if !view.manages(new) || new.metadata.deletion_timestamp.is_some() {
        return Verdict::default();
    }
    let before = old.filter(|old| view.manages(old));
    let old = before.map(|old| view.kind.read(old));
    let declared = view.kind.read(new);
    let mut inherited = old.as_ref().map(|old| problems(old, view)).unwrap_or_default();
    inherited.extend(before.into_iter().filter_map(|old| owner::problem(view.kind, old)));

    let mut verdict = Verdict::default();
    for problem in problems(&declared, view).into_iter().chain(owner::problem(view.kind, new)) {
        // A fix must never be blocked by what was wrong before.
        if !problem.is_error() || inherited.iter().any(|before| same(before, &problem)) {
            verdict.warnings.push(problem);
        } else {
            verdict.errors.push(problem);
        }
    }
    let intents = view.intents(&declared).ok();
    // While an object is paused, what its author writes takes effect.
    let paused = intents.iter().flatten().any(|intent| intent.policy.paused);
    let known = old.as_ref().map(|old| Known::before(old, &declared));
    let zeros = in_outage::all_zero(known.as_ref(), &declared, paused);
    let undoing = known
        .iter()
        .flat_map(|known| in_outage::undoing(known, &declared, intents.is_some(), paused, view));
    let (errors, warnings) = zeros.into_iter().chain(undoing).partition(Problem::is_error);
    let (errors, warnings): (Vec<Problem>, Vec<Problem>) = (errors, warnings);
    verdict.errors.extend(errors);
    verdict.warnings.extend(warnings);
    verdict.warnings.extend(rules_left_alone::warnings(&declared, intents.is_some()));
    verdict.warnings.extend(annotations::without_effect(&declared.annotations));
    if let Some(intents) = &intents {
        verdict.warnings.extend(advice(new, intents, old.as_ref(), view));
    }
    verdict
}

/// All that is wrong with an object by itself and with the Services it names.
fn problems(declared: &Declaration, view: &View<'_>) -> Vec<Problem> {
    let mut problems = view.intents(declared).err().unwrap_or_default();
    problems.extend(services::problems(declared, view));
    problems
}

/// Whether two problems are the same fault, wherever in a list it stands.
fn same(one: &Problem, other: &Problem) -> bool {
    let place = |p: &Problem| p.field.replace(|c: char| c.is_ascii_digit(), "");
    let same_words = || one.found == other.found && one.expected == other.expected;
    let same_matter = one.about.is_some() || same_words();
    place(one) == place(other) && one.about == other.about && same_matter
}

#[cfg(test)]
#[path = "validate_tests.rs"]
mod tests;
