//! A snapshot: everything that the controller watches, listed once, and its decision of each object.
//!
//! ```text
//!  settings ──► take ──► Snapshot (the very index) ──► rows (the very decision) ──► the commands of people
//!  (a Deployment) (I/O)        data                        pure
//! ```
//!
//! Nothing here guesses what the controller would do: the index, the parser and the decision are its own, as
//! a leader has them that has just started. What could not be read is a [`gap::Gap`], named beside the rest.

pub(crate) mod area;
pub(crate) mod assumption;
pub(crate) mod freeze;
pub(crate) mod gap;
pub(crate) mod linked;
pub(crate) mod next_step;
mod review;
pub(crate) mod row;
pub(crate) mod settings;
pub(crate) mod take;

pub(crate) use area::Area;
pub(crate) use assumption::Assumptions;
pub(crate) use freeze::Freeze;
pub(crate) use gap::Gap;
pub(crate) use next_step::NextStep;
pub(crate) use settings::{Parts, Settings};
pub(crate) use take::{Snapshot, take};

#[cfg(test)]
pub(crate) mod test_support;
#[cfg(test)]
mod tests;
