//! The ServiceProfiles of TrafficSplits, which Linkerd reads in the place of the splits.

pub mod lane;
pub mod plan;
pub mod writer;
