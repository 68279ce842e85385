//! Errors.

/// What is wrong with a certificate, a key or the lifetimes.
#[derive(Debug, thiserror::Error)]
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
