//! The reconciler: hears which objects are concerned, asks for the decision, passes the gates, writes.

#[cfg(test)]
mod ahead_tests;
pub(crate) mod alarms;
pub(crate) mod announcements;
pub(crate) mod attempts;
pub(crate) mod gates;
pub(crate) mod lanes;
pub(crate) mod memory;
pub(crate) mod nothing_ready;
pub(crate) mod notices;
pub(crate) mod outcomes;
pub(crate) mod overwrites;
pub(crate) mod pending_deletions;
pub(crate) mod plan;
pub(crate) mod queue;
pub(crate) mod reconcile;
pub(crate) mod reports;
pub(crate) mod service_profiles;
pub(crate) mod short_ports;
pub(crate) mod writer;
