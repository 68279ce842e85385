//! The Lease: which replica leads, and what the replicas record in it for each other.

mod claim;
mod election;
mod eligibility;
pub(crate) mod lease;
pub(crate) mod lease_annotation;
