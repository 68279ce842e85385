//! Why a request to a linked cluster failed, and what that shows of the cluster.

use thiserror::Error;

/// Why a request to a linked cluster failed. The texts are our own: an error's own may quote the server of
/// the kubeconfig.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{0}")]
pub(crate) enum RequestFailure {
    /// No answer of an API server.
    Unreachable(String),
    /// An answer comes from a server that cannot be verified to be that cluster.
    Unverified(String),
    /// It answers as Kubernetes does, with an error that may pass.
    Failing(String),
    /// It refuses the request.
    Refused(String),
}

impl RequestFailure {
    /// The failure that a `Status` of the API server is.
    pub(crate) fn answered(code: u16, reason: &str) -> Self {
        // The text comes from another cluster: only a reason as Kubernetes writes it goes into an Event.
        let is_reason = reason.len() <= 64 && reason.bytes().all(|b| b.is_ascii_alphanumeric());
        let reason = if is_reason { reason } else { "" };
        let why = format!("its API server answers {code} {reason}").trim_end().to_owned();
        match code {
            401 => Self::Refused(
                "its API server does not know the credentials (401): link it again".into(),
            ),
            403 => Self::Refused(
                "its API server does not let them list and watch endpointslices (403): link it again"
                    .into(),
            ),
            // These pass.
            408 | 410 | 429 => Self::Failing(why),
            400..500 => Self::Refused(why),
            _ => Self::Failing(why),
        }
    }
}
