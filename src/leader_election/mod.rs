//! The Lease: which replica leads, and what the replicas write down beside it for each other.

pub mod brake_record;
pub mod election;
pub mod fitness;
pub mod lease;
