//! Validation: denies what failover could not work with, and warns of what may hurt.

use crate::admission::preexisting::{self, PreexistingProblems};
use crate::admission::reviewed_object::ReviewedObject;
use crate::admission::rules::{self, ObjectReview};
use crate::admission::view::View;
use crate::engine::{Problem, Reading};
use std::cell::LazyCell;

/// What is wrong with an object.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Validation {
    /// Each of these alone denies the object.
    pub errors: Vec<Problem>,
    pub warnings: Vec<Problem>,
}

/// Validates the final object of a review, and trusts no mutator.
pub(crate) fn validate(
    old: Option<&ReviewedObject<'_>>,
    new: &ReviewedObject<'_>,
    view: &View<'_>,
) -> Validation {
    if !view.manages(new.object) || new.is_being_deleted() {
        return Validation::default();
    }
    let old = old.filter(|old| view.manages(old.object));
    // Of no use where nothing is wrong with the new object.
    let before = LazyCell::new(|| {
        let old = old?;
        let of_object = preexisting::of_object(&old.declared, view).into_iter();
        Some(PreexistingProblems::of(of_object.chain(rules::object_problems(old, view))))
    });
    let is_preexisting = |problem: &Problem| before.as_ref().is_some_and(|was| was.has(problem));

    let mut validation = Validation::default();
    let Reading { intents, problems } = view.read(&new.declared);
    for problem in problems.into_iter().chain(rules::object_problems(new, view)) {
        let denies = problem.is_error() && !is_preexisting(&problem);
        validation.add(problem, denies);
    }
    for problem in rules::review_problems(&ObjectReview::new(old, new, intents, view)) {
        let denies = problem.is_error();
        validation.add(problem, denies);
    }
    validation
}

impl Validation {
    fn add(&mut self, problem: Problem, denies: bool) {
        if denies { &mut self.errors } else { &mut self.warnings }.push(problem);
    }
}

#[cfg(test)]
#[path = "validate_tests.rs"]
mod tests;
