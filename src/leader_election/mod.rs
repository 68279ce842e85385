//! The Lease: which replica leads, and what the replicas write down beside it for each other.

pub(crate) mod brake_record;
pub(crate) mod election;
pub(crate) mod fitness;
pub(crate) mod lease;
