//! The gates between a decision and its write: each lets the write through, or says why not.

pub(crate) mod arbitration;
pub(crate) mod brake;
pub(crate) mod braking;
pub(crate) mod confirmations;
pub(crate) mod may_write;
