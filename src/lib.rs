//! Failover for Linkerd: when a Service has no ready endpoints, its traffic goes to a backup.
//!
//! # The house
//!
//! ```text
//!  informers ──► index ──► engine ──► reconciler
//!    (I/O)      (facts)    (pure)       (I/O)
//!                            ▲
//!  webhook ──► admission ────┘   the same parser, the same decision
//! ```
//!
//! From the top down; a module uses those below it.

pub mod admission;
pub mod certificates;
pub mod cli;
pub mod client;
pub mod clock;
pub mod deletion_guard;
pub mod engine;
pub mod events;
pub mod housekeeping;
pub mod index;
pub mod informers;
pub mod kinds;
pub mod leader_election;
pub mod reconciler;
pub mod runtime;
pub mod telemetry;
pub mod webhook;
