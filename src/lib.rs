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
//! The rooms, from the top down; one uses only those below it, and a test holds that:
//!
//! - [`cli`]: arguments and commands.
//! - [`printers`]: what commands of people show: tables, documents, the lines of a terminal.
//! - [`checks`]: what `check` looks at, and how it is printed.
//! - [`installation`]: the manifests of an installation, and how objects are given back before it goes.
//! - [`interventions`]: what a person changes by hand: pins, pauses, freezes, drills.
//! - [`snapshot`]: everything listed once, and the decision of each object, for the commands of people.
//! - [`runtime`]: puts the parts together, starts and stops them in order.
//! - [`manifest_review`]: the webhook's verdict on manifests, without a cluster.
//! - [`migrate`]: routes of the Gateway API from TrafficSplits.
//! - [`manifests`]: manifests as people write them, and the lines of their fields.
//! - [`housekeeping`]: what the leader looks after beside failover.
//! - [`reconciler`]: plans, passes the gates, writes.
//! - [`alerts`]: alerts of Alertmanager, which declare Services down; on the webhook's port.
//! - [`webhook`]: the TLS server, its limits, reviews in and responses out.
//! - [`admission`]: defaulting and validation; the rules, one a file.
//! - [`leader_election`]: the Lease, and what replicas record in it.
//! - [`deletion_guard`]: the way of an announced pod deletion to the leader and back.
//! - [`notifications`]: CloudEvents about transitions, for the receiver that the chart names.
//! - [`events`]: how Events look, and how they are published.
//! - [`certificates`]: the webhook's certificates.
//! - [`informers`]: LIST and watch of each kind, into the index.
//! - [`index`]: facts, pure data.
//! - [`client`]: clients of API servers, and proxies before them.
//! - [`clock`]: the process's clock.
//! - [`kinds`]: Kubernetes kinds as adapters.
//! - [`engine`]: the pure core: intent, health, decision.
//! - [`telemetry`]: logs, metrics, the admin server.
//!
//! # Where to add
//!
//! | what | where |
//! |---|---|
//! | a kind of failover object | an adapter in [`kinds`] |
//! | an annotation | the table in `engine::annotations` |
//! | a rule of admission | a file in `admission::rules` |
//! | a finding, with the line that mends it | a variant in `admission::findings::finding`, its text in `advice` beside it |
//! | a metric | a line in the struct of its group, in [`telemetry`]; its row in `docs/metrics.md` |
//! | a check | its function in a file of [`checks`], its row in `checks::table`, its heading in `docs/checks.md` |
//! | an Event | its reason in `events::reason`; what makes it in `reconciler::reports` or [`housekeeping`]; its heading in `docs/runbook.md` |
//! | a type of notification | its value in `telemetry::NotificationType`; what makes it in `reconciler`; docs/notifications.md |
//! | a command, or a flag | [`cli`]; what a flag sets is in `runtime::options`; what a command of people knows is in [`snapshot`] |
//! | a part of the process | a step of `runtime::controller::run` |
//! | a test against a real API server | `tests/integration` |

// The program's documentation is built with its private items: it is for those who work on it.
#![allow(rustdoc::private_intra_doc_links)]
// The program has no panic of its own; tests may.
#![cfg_attr(
    not(any(test, feature = "fuzzing")),
    warn(clippy::expect_used, clippy::panic, clippy::unwrap_used)
)]

pub(crate) mod admission;
pub(crate) mod alerts;
pub(crate) mod certificates;
pub(crate) mod checks;
pub mod cli;
pub(crate) mod client;
pub(crate) mod clock;
pub(crate) mod deletion_guard;
pub mod engine;
pub(crate) mod events;
pub(crate) mod housekeeping;
pub(crate) mod index;
pub mod informers;
pub(crate) mod installation;
pub(crate) mod interventions;
pub mod kinds;
pub(crate) mod leader_election;
pub(crate) mod manifest_review;
pub(crate) mod manifests;
pub(crate) mod migrate;
pub(crate) mod notifications;
#[cfg(feature = "planted-faults")]
pub(crate) mod planted_faults;
pub(crate) mod printers;
pub mod reconciler;
pub(crate) mod runtime;
pub(crate) mod snapshot;
pub mod telemetry;
pub mod webhook;

/// What the targets in `fuzz/` run, above all rooms; a release is built without it.
#[doc(hidden)]
#[cfg(any(test, feature = "fuzzing"))]
pub mod fuzz;

#[cfg(test)]
mod docs_tests;
#[cfg(test)]
mod planted_faults_tests;
#[cfg(test)]
mod rooms_tests;
#[cfg(test)]
mod simulation;
