//! Certificates of an admission webhook that several replicas serve.
//!
//! The CA lives in one Secret; every replica issues its own leaf from it, in memory. No I/O and no
//! clock in here: a Secret's data, the bundles and the time come in as arguments, decisions go out.
//!
//! - [`Authority`]: the CA, and the leaves it issues. [`Lives`] says how long both are valid.
//! - [`next`]: what to do with the Secret as it was read: use it, or write it anew. A further step
//!   of the rotation is an arm of [`next`], and a key of the Secret; keys that are not known here
//!   are kept.
//! - [`Settling`]: for how long one replica has seen the next CA in every bundle.
//! - [`verifies`]: whether a client that trusts a bundle believes a leaf.
//! - [`Leaf::from_pem`]: a leaf that somebody else issued.
//! - [`ReloadingResolver`]: gives rustls the newest leaf; open connections keep theirs.
//!
//! # Why no call fails
//!
//! A leaf is only ever issued by the present CA, and a CA becomes the present one only after a
//! replica has seen it in every bundle for the settle time. Bundles never lose it on the way: one
//! is written on the resourceVersion of a configuration that was read *before* the Secret it is
//! derived from, so it is never older than the one it replaces.

mod authority;
mod error;
mod held;
mod leaf;
mod lives;
mod resolver;
mod rotation;
mod settling;
mod trust;

pub use authority::Authority;
pub use error::Error;
pub use held::{CA_CERT, CA_KEY, Data, NEXT_CERT, NEXT_KEY, OLD_CERTS, ROTATION, next_certificate};
pub use leaf::Leaf;
pub use lives::Lives;
pub use resolver::{ClientCas, Clients, ReloadingResolver, TlsVersions, server_config};
pub use rotation::{Change, InUse, Phase, Seen, Step, next};
pub use settling::{Bundles, Settling};
pub use trust::{certificates, contains, verifies};

#[cfg(test)]
mod tests;
