//! Problems that an object had before an edit: they never block a fix.

use crate::admission::view::View;
use crate::engine::{Declaration, FieldPath, Problem};
use std::collections::HashMap;

/// The problems that an object had before, each with its size, where it is an excess.
#[derive(Debug, Default)]
pub(crate) struct PreexistingProblems(HashMap<KnownProblem, u32>);

/// What makes two problems the same, at any index of a list: the field, and the subject or else the
/// message.
#[derive(Debug, PartialEq, Eq, Hash)]
struct KnownProblem {
    field: FieldPath,
    subject: ProblemSubject,
}

#[derive(Debug, PartialEq, Eq, Hash)]
enum ProblemSubject {
    Named(Box<str>),
    /// A problem without a subject is known by its message.
    Message {
        found: String,
        expected: String,
    },
}

impl KnownProblem {
    fn of(problem: &Problem) -> Self {
        let subject = match &problem.about {
            Some(about) => ProblemSubject::Named(about.clone()),
            None => ProblemSubject::Message {
                found: problem.found.clone(),
                expected: problem.expected.clone(),
            },
        };
        Self { field: problem.field.at_any_index(), subject }
    }
}

impl PreexistingProblems {
    pub(crate) fn of(problems: impl IntoIterator<Item = Problem>) -> Self {
        let mut all = HashMap::new();
        for problem in problems {
            let size = all.entry(KnownProblem::of(&problem)).or_insert(problem.size);
            *size = (*size).max(problem.size);
        }
        Self(all)
    }

    pub(crate) fn has(&self, problem: &Problem) -> bool {
        self.0.get(&KnownProblem::of(problem)).is_some_and(|before| problem.size <= *before)
    }
}

/// What is wrong with an object by itself, as it is and as its author wrote it: after a failover the
/// weights in the object are not the authored ones.
pub(crate) fn of_object(old: &Declaration, view: &View<'_>) -> Vec<Problem> {
    let mut problems = view.read(old).problems;
    if old.record().is_some_and(|record| !record.written.is_empty()) {
        let authored = old.as_authored();
        if authored != *old {
            problems.extend(view.read(&authored).problems);
        }
    }
    problems
}
