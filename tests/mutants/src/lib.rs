//! `make mutants`: cargo-mutants on the pure rooms, a few seconds a mutant.
//!
//! The unit tests of the whole program take a minute to compile, and a room has hundreds of mutants. A `Room`
//! is therefore cut out into a crate of its own, made of the same files at the same paths, of which only what it
//! uses is compiled: a `Cut`. cargo-mutants changes the cut in place and never the work tree.
//!
//! - [`room`]: the rooms that are tried, and what each is made of.
//! - [`cut`], [`manifest`], [`tests_left_out`]: the crate that a room is cut out into.
//! - [`cargo`]: cargo, and cargo-mutants, in a cut.
//! - [`mutant`]: what cargo-mutants says of a mutant.
//! - [`kept`]: what is known of mutants from runs before.
//! - [`no_defect`]: mutants that no test can tell from the program, each with its reason.
//! - [`shard`]: a part of the mutants.
//! - [`trial`]: the mutants of one room, tried until the time is over.
//! - [`table`]: the table in which the command ends.
//! - [`control`]: a crate of which it is known which of its mutants survive.

pub mod cargo;
pub mod control;
pub mod cut;
pub mod kept;
pub mod manifest;
pub mod mutant;
pub mod no_defect;
pub mod room;
pub mod shard;
pub mod table;
pub mod tests_left_out;
pub mod trial;
