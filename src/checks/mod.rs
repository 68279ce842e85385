//! The checks of `linkerd-failover check`.
//!
//! ```text
//!  gather ──► Facts ──► table (a function of the facts each) ──► Report ──► JSON, table, short
//!  (I/O)      data             pure
//! ```
//!
//! To add a check, write its function into the file of its subject, and list it in [`table::CHECKS`], with a
//! heading in `docs/checks.md`. Facts that it needs are gathered in [`gather`].

mod access;
mod account_access;
mod certificates;
mod cluster;
mod facts;
pub(crate) mod gather;
mod holds;
mod installation;
mod linkerd;
mod links;
mod objects;
mod outcome;
pub(crate) mod protection;
pub(crate) mod report;
pub(crate) mod table;
mod webhook;

#[cfg(test)]
mod fault_tests;
#[cfg(test)]
mod tests;
