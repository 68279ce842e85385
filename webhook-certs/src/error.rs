//! Errors.

use jiff::Timestamp;

/// What is wrong with a certificate, a key or the lifetimes.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum Error {
    /// A certificate cannot be made or parsed.
    #[error("{0}")]
    Certificate(#[from] rcgen::Error),
    /// rustls refuses a certificate, a key or a configuration.
    #[error("{0}")]
    Tls(#[from] rustls::Error),
    /// The input is well-formed, and not what is needed.
    #[error("found {found}, expected {expected}")]
    Unusable {
        /// What the input is.
        found: String,
        /// What it has to be.
        expected: &'static str,
    },
    /// No rotation fits into the lifetimes.
    #[error("{0}")]
    Lifetimes(String),
}

impl Error {
    pub(crate) fn unusable(found: impl Into<String>, expected: &'static str) -> Self {
        Self::Unusable { found: found.into(), expected }
    }
}

/// Why a CA of the Secret cannot be used.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum Unusable {
    /// The present CA is gone, and the next one is there.
    #[error("the present CA was taken away")]
    Removed,
    /// A key of the Secret is missing beside the other of its pair.
    #[error("{0} is missing")]
    Missing(&'static str),
    /// A value of the Secret is not UTF-8.
    #[error("{0} holds bytes that are no text")]
    NotText(&'static str),
    /// The pair is no CA.
    #[error("{certificate} and {key} cannot be used: {error}")]
    NoCa {
        /// The Secret's key of the certificate.
        certificate: &'static str,
        /// The Secret's key of the private key.
        key: &'static str,
        /// What is wrong with the pair.
        error: Error,
    },
    /// The CA has expired.
    #[error("the CA's validity ended at {0}")]
    Expired(Timestamp),
    /// The CA's validity begins in the future.
    #[error("the CA is valid from {0} on: is the clock right?")]
    NotYetValid(Timestamp),
    /// The CA issues no leaf.
    #[error("{0}")]
    CannotIssue(Error),
    /// A client that trusts the CA refuses its leaf.
    #[error("the CA cannot vouch for {name}: {error}")]
    Refused {
        /// The DNS name that the leaf is for.
        name: String,
        /// Why the client refuses it.
        error: Error,
    },
}
