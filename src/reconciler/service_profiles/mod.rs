//! The ServiceProfiles of TrafficSplits, which Linkerd reads in the place of the splits.
//!
//! The files have the names of their counterparts for weights: the plan, the memory, the writer, the
//! writes under way, and their outcomes.

pub(crate) mod memory;
pub(crate) mod outcomes;
pub(crate) mod plan;
pub(crate) mod writer;
pub(crate) mod writes;
