//! The gates between an object and its write, in the order in which `reconcile` passes them. Each lets
//! the reconciliation go on, or decides what becomes of it without a write.

pub(crate) mod arbiter;
pub(crate) mod arbitration;
pub(crate) mod brake;
pub(crate) mod brake_gate;
pub(crate) mod confirmations;
pub(crate) mod facts;
pub(crate) mod recording;
pub(crate) mod stop;
