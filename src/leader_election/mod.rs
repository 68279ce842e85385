//! The Lease: which replica leads, and the annotations in which replicas record facts for each other.

mod claim;
mod election;
mod eligibility;
pub(crate) mod lease;
pub(crate) mod lease_annotation;
pub(crate) mod observed;
