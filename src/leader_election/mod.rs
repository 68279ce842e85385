//! The Lease: which replica leads, and the annotations in which replicas record facts for each other.

pub(crate) mod claim;
pub(crate) mod election;
mod eligibility;
pub(crate) mod lease;
pub(crate) mod lease_annotation;
pub(crate) mod observed;
