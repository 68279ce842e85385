//! The informers of linked clusters.
//!
//! ```text
//!  credentials Secrets ──► links ──► one watch per cluster ──► index
//!       (I/O)            (begin, end)       (I/O)
//! ```
//!
//! [`kubeconfig`] checks whether credentials may be used; [`diagnosis`], [`handshake`] and [`answer`] have
//! what an error shows of a cluster; [`requested_services`] and [`watch_selector`] limit the watches of a
//! cluster to what is needed.

pub(crate) mod answer;
pub(crate) mod clients;
pub(crate) mod credentials;
pub(crate) mod diagnosis;
pub(crate) mod failure;
pub(crate) mod handshake;
pub(crate) mod kubeconfig;
pub(crate) mod link;
pub(crate) mod links;
pub(crate) mod mirrors;
pub(crate) mod requested_services;
pub(crate) mod retry;
pub(crate) mod secrets_watch;
pub(crate) mod services_watch;
pub(crate) mod slices_watch;
pub(crate) mod transitions;
pub(crate) mod watch_selector;
