//! What can be wrong.

/// What is wrong with a certificate, a key or the times they are to live.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("{0}")]
    Certificate(#[from] rcgen::Error),
    #[error("{0}")]
    Tls(#[from] rustls::Error),
    #[error("found {found}, expected {expected}")]
    Unusable { found: String, expected: &'static str },
    #[error("{0}")]
    Lives(String),
}

impl Error {
    pub(crate) fn unusable(found: impl Into<String>, expected: &'static str) -> Self {
        Self::Unusable { found: found.into(), expected }
    }
}
