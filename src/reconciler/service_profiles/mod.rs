//! The ServiceProfiles of TrafficSplits, which Linkerd reads in the place of the splits.

pub(crate) mod lane;
pub(crate) mod plan;
pub(crate) mod writer;
