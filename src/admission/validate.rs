//! Validation: what failover could not work with is refused, what may hurt is said.

use crate::admission::preexisting::{self, PreexistingProblems};
use crate::admission::previous::PreviousObject;
use crate::admission::rules::advice::advice;
use crate::admission::rules::{in_outage, owner, rules_left_alone, services};
use crate::admission::view::View;
use crate::engine::{Problem, Reading, annotations};
use kube::core::DynamicObject;

/// The judgement of an object.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Validation {
    /// Each of these alone refuses the object.
    pub errors: Vec<Problem>,
    pub warnings: Vec<Problem>,
}

/// Judges the final object of a request, and trusts no mutator.
pub(crate) fn validate(
    old: Option<&DynamicObject>,
    new: &DynamicObject,
    view: &View<'_>,
) -> Validation {
    if !view.manages(new) || new.metadata.deletion_timestamp.is_some() {
        return Validation::default();
    }
    let before = old.filter(|old| view.manages(old));
    let old = before.map(|old| view.kind.read(old));
    let declared = view.kind.read(new);
    let mut were = vec![];
    if let Some(old) = &old {
        were.extend(preexisting::of_object(old, view));
        were.extend(services::problems(old, view));
    }
    were.extend(before.into_iter().filter_map(|old| owner::problem(view.kind, old)));
    let inherited = PreexistingProblems::of(were);

    let mut verdict = Validation::default();
    let Reading { intents, problems } = view.read(&declared);
    let problems = problems.into_iter().chain(services::problems(&declared, view));
    for problem in problems.chain(owner::problem(view.kind, new)) {
        if !problem.is_error() || inherited.has(&problem) {
            verdict.warnings.push(problem);
        } else {
            verdict.errors.push(problem);
        }
    }
    // While an object is paused, what its author writes takes effect.
    let paused = intents.iter().any(|intent| intent.policy.paused);
    let is_read = !intents.is_empty();
    let mended = declared.normalized();
    let known = old.as_ref().map(|old| PreviousObject::before(&old.normalized(), &mended));
    let zeros = in_outage::all_zero(known.as_ref(), &mended, paused);
    let undoing =
        known.iter().flat_map(|known| in_outage::undoing(known, &mended, is_read, paused, view));
    let (errors, warnings) = zeros.into_iter().chain(undoing).partition(Problem::is_error);
    let (errors, warnings): (Vec<Problem>, Vec<Problem>) = (errors, warnings);
    verdict.errors.extend(errors);
    verdict.warnings.extend(warnings);
    verdict.warnings.extend(rules_left_alone::warnings(&declared, is_read));
    verdict.warnings.extend(annotations::without_effect(declared.annotations.as_map()));
    verdict.warnings.extend(advice(new, &intents, old.as_ref(), view));
    verdict
}

#[cfg(test)]
#[path = "validate_tests.rs"]
mod tests;
