//! The reconciler: hears which objects are concerned, asks for the decision, passes the gates, writes.

#[cfg(test)]
mod ahead_tests;
pub mod alarms;
pub mod announced;
pub mod attempts;
pub mod gates;
pub mod lanes;
pub mod memory;
pub mod mention;
pub mod nothing_ready;
pub mod outcomes;
pub mod plan;
pub mod queue;
pub mod reconcile;
pub mod service_profiles;
pub mod short;
pub mod undone;
pub mod waits;
pub mod writer;
