//! The documentation as the tests see it.
//!
//! [`page`] reads a page into the steps that a reader would do: commands to be run, files to be saved,
//! objects to be applied. [`output`] compares what came with what the page shows. [`links`] finds the
//! links and anchors of a text, and [`check`] follows them offline. The steps themselves are done by `tests/integration/docs/`, on a real cluster.

pub mod check;
mod commands;
mod fault;
pub mod links;
mod marks;
pub mod output;
pub mod page;
pub mod repository;

pub use fault::Fault;
