//! Certificates of an admission webhook that several replicas serve.
//!
//! The CA lives in one Secret; every replica issues its own leaf from it, in memory. No I/O and no
//! clock in here: a Secret's data and the time come in as arguments, decisions go out.
//!
//! - [`Authority`]: the CA, and the leaves it issues.
//! - [`next`]: what to do with the Secret as it was read: use it, or write it anew. Rotation of the
//!   CA (a next one beside the present) will be further arms of [`Step`] and further keys of the
//!   same Secret, which is why keys that are not known here are kept.
//! - [`ReloadingResolver`]: gives rustls the newest leaf; open connections keep theirs.

mod authority;
mod leaf;
mod resolver;
mod stored;

pub use authority::{Authority, Error};
pub use leaf::Leaf;
pub use resolver::{ReloadingResolver, TlsVersions, server_config};
pub use stored::{CA_CERT, CA_KEY, Step, next};

#[cfg(test)]
mod tests;
