//! What is wrong with the webhook's certificates.

use jiff::Timestamp;

/// Why the API server cannot call the webhook, or will not be able to.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub(crate) enum CertificateProblem {
    /// Neither issued nor read yet.
    #[error("no certificate for the webhook yet")]
    NoCertificate,
    /// The certificate that is served has expired.
    #[error("the webhook's certificate expired at {0}")]
    Expired(Timestamp),
    /// The API server does not trust the certificate that is served.
    #[error("{}", joined(.0))]
    Untrusted(Vec<UntrustedLeaf>),
    /// There is no Secret for the CA.
    #[error(
        "Secret {secret} does not exist, and it is the chart that makes it: run `helm upgrade`, or apply the chart's manifests again; {}",
        served(.served_until)
    )]
    SecretMissing {
        /// `namespace/name`.
        secret: String,
        /// When the certificate that is served ends.
        served_until: Option<Timestamp>,
    },
    /// A webhook configuration could not be read.
    #[error("{configuration}: {error}")]
    ConfigurationUnread { configuration: String, error: String },
    /// A request or a file failed; the text is the error with its causes.
    #[error("{0}")]
    Failed(String),
}

/// A `caBundle` that does not verify the certificate.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error(
    "{configuration}: caBundle of {webhook}: it does not verify our certificate (valid {not_before} to {not_after}): {error}"
)]
pub(crate) struct UntrustedLeaf {
    pub configuration: String,
    pub webhook: String,
    pub not_before: Timestamp,
    pub not_after: Timestamp,
    pub error: webhook_certs::Error,
}

fn joined(problems: &[UntrustedLeaf]) -> String {
    problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

fn served(until: &Option<Timestamp>) -> String {
    match until {
        Some(end) => format!("the CA in memory serves on, its certificate until {end}"),
        None => "there is nothing to serve".to_owned(),
    }
}
