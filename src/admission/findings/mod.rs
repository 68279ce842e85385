//! What an object lacks so that no request is lost, each with the line that mends it.
//!
//! [`findings`] is a function of [`ObjectFacts`], without I/O: the webhook fills them from the index, at apply,
//! and a command from the API server. It reports what is missing whatever the protection of the object is;
//! who asks decides what of it matters.

mod advice;
mod facts;
mod finding;
mod of_review;

pub(crate) use facts::ObjectFacts;
pub(crate) use finding::{Finding, findings};

#[cfg(test)]
mod findings_tests;
