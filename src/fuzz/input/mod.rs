//! Generators: from bytes to documents as authors and programs write them, right and wrong alike.
//!
//! They know nothing of the program. The tests against a real API server take their documents from here too.

pub(crate) mod annotations;
pub(crate) mod documents;
pub(crate) mod records;
mod source;

pub(crate) use source::Source;
