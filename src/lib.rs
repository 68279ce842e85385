//! Failover for Linkerd: when a Service has no ready endpoints, its traffic goes to a backup.
//!
//! # The house
//!
//! ```text
//!  watch ──► index ──► decide ──► write
//!  (I/O)    (facts)    (pure)     (I/O)
//!                         ▲
//!  admission ── parse ────┘
//! ```
//!
//! - [`failover`]: the pure core. What an author asked for ([`failover::Intent`]), what is healthy
//!   ([`failover::Health`]), and what the weights should be ([`failover::decide`]). No client, no
//!   clock, no async. A new annotation begins in [`failover::annotations`] and is read in
//!   [`failover::Intent::parse`]; a rule of the engine is a line of [`failover::decide`].
//! - [`resources`]: Kubernetes kinds as adapters. A new kind is a variant of [`resources::Kind`], and
//!   a module that reads a [`failover::Declaration`] from it, as [`resources::route`] does.
//! - [`cluster`]: the watches, and the index that they feed. [`cluster::remote`] is the same of the
//!   clusters that are linked to this one.
//! - [`admission`]: the webhook. A rule of admission that needs only the object is a rule of the
//!   parser; one that needs its neighbourhood is in [`admission::validate`].
//! - [`controller`]: the queue, the writer, the Lease, Events; the lane of ServiceProfiles beside it.
//! - [`ahead`]: the way of an announced loss, a pod's deletion, from the webhook to the controller of
//!   the replica that leads, and of the answer back. What it means is a rule of [`failover::decide`].
//! - [`telemetry`]: logs, metrics, the admin server.
//! - [`cli`]: the commands.
//!
//! `failover` knows nobody, `resources` knows `failover`, the rest know both; `admission` and
//! `controller` do not know each other, and meet in `ahead`, which knows neither.

pub mod admission;
pub mod ahead;
pub mod cli;
pub mod cluster;
pub mod controller;
pub mod failover;
pub mod resources;
pub mod telemetry;
