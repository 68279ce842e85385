//! Certificates of an admission webhook with several replicas.
//!
//! The CA is kept in one Secret; every replica issues its own leaf from it, in memory. The crate does
//! no I/O and reads no clock: the Secret's data, the CA bundles and the time are arguments.
//!
//! - [`Authority`] is a CA that issues leaves; [`Lifetimes`] holds how long both are valid.
//! - [`next_step`] decides what to do with the Secret: use it, or write it.
//! - [`Propagation`] measures for how long the next CA has been in every CA bundle.
//! - [`verifies`] checks whether a client that trusts a bundle accepts a leaf.
//! - [`Leaf::from_pem`] reads a leaf of another issuer.
//! - [`ReloadingResolver`] gives rustls the newest leaf; open connections keep theirs.
//!
//! # Example
//!
//! A replica that finds an empty Secret creates the CA, and serves a leaf of it:
//!
//! ```
//! use jiff::Timestamp;
//! use std::sync::Arc;
//! use webhook_certs::{
//!     ClientAuth, Data, Lifetimes, Observed, ReloadingResolver, Step, TlsVersions, next_step,
//!     server_config, verifies,
//! };
//!
//! let names = ["webhook.example.svc".to_owned()];
//! let (lifetimes, now) = (Lifetimes::default(), Timestamp::now());
//!
//! let empty = Data::new();
//! let observed = Observed { data: &empty, trusted_for: None };
//! let Step::Write { data, .. } = next_step(observed, &names, &lifetimes, now)? else {
//!     panic!("an empty Secret has to be written")
//! };
//! // After the write, the Secret is read again.
//! let observed = Observed { data: &data, trusted_for: None };
//! let Step::Use(in_use) = next_step(observed, &names, &lifetimes, now)? else {
//!     panic!("there is a CA now")
//! };
//!
//! let leaf = in_use.authority.issue(&names, &lifetimes, now)?;
//! verifies(in_use.bundle.as_bytes(), &leaf, &names[0], now)?;
//! let resolver = Arc::new(ReloadingResolver::default());
//! resolver.set(leaf);
//! let tls = server_config(resolver, TlsVersions::default(), ClientAuth::None)?;
//! # let _ = tls;
//! # Ok::<(), webhook_certs::Error>(())
//! ```
//!
//! # Why a rotation fails no call
//!
//! Only the present CA issues leaves, and a CA becomes the present one only after a replica has seen it
//! in every bundle for the propagation time. No bundle loses it on the way: a bundle is written on the
//! resourceVersion of a configuration that was read *before* the Secret it is derived from, so it is
//! never older than the one it replaces.

#![warn(missing_docs)]

mod authority;
mod error;
mod leaf;
mod lifetimes;
mod propagation;
mod resolver;
mod rotation;
mod stored;
mod trust;

pub use authority::Authority;
pub use error::{Error, Unusable};
pub use leaf::Leaf;
pub use lifetimes::Lifetimes;
pub use propagation::{Bundles, Propagation};
pub use resolver::{ClientAuth, ClientCas, ReloadingResolver, TlsVersions, server_config};
pub use rotation::{Change, InUse, Observed, Phase, Step, next_step};
pub use stored::{
    CA_CERT, CA_KEY, Data, NEXT_CERT, NEXT_KEY, OLD_CERTS, ROTATION, next_certificate,
};
pub use trust::{certificates, contains, expiries, verifies};

#[cfg(test)]
mod tests;
