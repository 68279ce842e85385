//! Services whose endpoints are in other clusters: Linkerd's pod-to-pod mirrors and federated
//! Services, seen as Linkerd sees them, in the EndpointSlices of the clusters that are linked.
//!
//! ```text
//!  credentials Secrets ──► links ──► one watch per cluster ──► facts ──► health
//!       (I/O)            (begin, end)       (I/O)            (by cluster)
//! ```
//!
//! [`members`] reads what a Service rests on; `kubeconfig` says whether credentials may be used;
//! `services` is how a cluster's own Services call their ports; `reach` is what is known of a cluster's API, as a function of what happened and of time;
//! `failure`, `handshake` and `answer` are what an error shows of it; `wanted` is how little is asked
//! of it. None of these does I/O.

mod answer;
mod confirm;
mod credentials;
mod facts;
mod failure;
mod handshake;
mod health;
mod kubeconfig;
mod links;
pub mod members;
mod mirrors;
mod reach;
mod services;
mod services_watch;
mod told;
mod wanted;
mod watch;

pub(in crate::cluster) use confirm::confirm;
pub use credentials::SecretName;
pub use facts::Remote;
pub use links::{Clients, Linked, watch_links};
pub use members::Member;
pub use mirrors::MirrorThere;
pub use reach::{Reach, Transition};
pub use told::Told;
