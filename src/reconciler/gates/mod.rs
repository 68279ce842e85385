//! The gates between a decision and its write: each lets the write through, or says why not.

pub mod arbitration;
pub mod brake;
pub mod braking;
pub mod confirmations;
pub mod may_write;
