//! The Lease: which replica leads, and what the replicas record in it for each other.

pub(crate) mod brake_record;
pub(crate) mod election;
pub(crate) mod eligibility;
pub(crate) mod lease;
