//! The reconciler: takes objects from a queue, asks for the decision, passes the gates, writes.
//!
//! ```text
//!  controller ──► state ──► reconcile ──► plan ──► gates ──► writes ──► outcomes
//!   (the loop)   (queue, in flight, memory)        (may it be written, now, by us?)
//! ```

pub(crate) mod announcements;
pub(crate) mod attempts;
pub(crate) mod conditions;
pub(crate) mod context;
pub(crate) mod controller;
pub(crate) mod delayed_queue;
pub(crate) mod down_conditions;
#[cfg(test)]
mod early_flip_tests;
pub(crate) mod flip;
pub(crate) mod flip_stages;
pub(crate) mod gates;
pub(crate) mod hold;
pub(crate) mod in_flight;
pub(crate) mod lanes;
pub(crate) mod memory;
pub(crate) mod no_fallback;
pub(crate) mod nothing_ready;
pub(crate) mod notify;
pub(crate) mod object_samples;
pub(crate) mod ordered_queue;
pub(crate) mod outcomes;
pub(crate) mod overwrites;
pub(crate) mod patch;
pub(crate) mod pending_deletions;
pub(crate) mod plan;
pub(crate) mod profile_first;
mod protection;
pub(crate) mod reconcile;
pub(crate) mod record_backlog;
pub mod replay;
pub(crate) mod reports;
pub(crate) mod request;
pub(crate) mod service_profiles;
pub(crate) mod set_decision;
pub(crate) mod short_ports;
pub(crate) mod state;
pub(crate) mod traffic_on;
pub(crate) mod work_queue;
pub(crate) mod write;
#[cfg(test)]
mod write_order_tests;
pub(crate) mod writer;
pub(crate) mod writes;
