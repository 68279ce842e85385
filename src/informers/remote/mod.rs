//! The informers of linked clusters.
//!
//! ```text
//!  credentials Secrets ──► links ──► one watch per cluster ──► index
//!       (I/O)            (begin, end)       (I/O)
//! ```
//!
//! [`kubeconfig`] says whether credentials may be used; [`failure`], [`handshake`] and [`answer`] are
//! what an error shows of a cluster; [`wanted`] is how little is asked of it.

pub mod answer;
pub mod confirm;
pub mod credentials;
pub mod failure;
pub mod handshake;
pub mod kubeconfig;
pub mod links;
pub mod mirrors;
pub mod services_watch;
pub mod transitions;
pub mod wanted;
pub mod watch;
