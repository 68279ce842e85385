//! What was wrong with an object before an edit: a fix must never be blocked by it.

use crate::admission::view::View;
use crate::engine::{Declaration, FieldPath, Problem};
use std::collections::HashMap;

/// The faults that an object had before; of what it had too much, how much.
#[derive(Debug, Default)]
pub(crate) struct PreexistingProblems(HashMap<Fault, u32>);

/// What makes two problems the same fault, wherever in a list it stands: the field, and what it is
/// about or else its words.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Fault {
    field: FieldPath,
    about: Result<Box<str>, (String, String)>,
}

impl Fault {
    fn of(problem: &Problem) -> Self {
        let words = || (problem.found.clone(), problem.expected.clone());
        Self { field: problem.field.at_any_index(), about: problem.about.clone().ok_or_else(words) }
    }
}

impl PreexistingProblems {
    pub(crate) fn of(problems: impl IntoIterator<Item = Problem>) -> Self {
        let mut all = HashMap::new();
        for problem in problems {
            let size = all.entry(Fault::of(&problem)).or_insert(problem.size);
            *size = (*size).max(problem.size);
        }
        Self(all)
    }

    pub(crate) fn has(&self, problem: &Problem) -> bool {
        self.0.get(&Fault::of(problem)).is_some_and(|before| problem.size <= *before)
    }
}

/// What is wrong with an object by itself, as it stands and as its author wrote it: once traffic has
/// moved, weights of ours stand where he has his.
pub(crate) fn of_object(old: &Declaration, view: &View<'_>) -> Vec<Problem> {
    let mut problems = view.read(old).problems;
    let authored = old.as_authored();
    if authored != *old {
        problems.extend(view.read(&authored).problems);
    }
    problems
}
