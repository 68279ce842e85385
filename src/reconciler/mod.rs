//! The reconciler: hears which objects are concerned, asks for the decision, passes the gates, writes.

#[cfg(test)]
mod ahead_tests;
pub mod alarms;
pub mod announcements;
pub mod attempts;
pub mod gates;
pub mod lanes;
pub mod memory;
pub mod nothing_ready;
pub mod notices;
pub mod outcomes;
pub mod overwrites;
pub mod pending_deletions;
pub mod plan;
pub mod queue;
pub mod reconcile;
pub mod service_profiles;
pub mod short_ports;
pub mod writer;
