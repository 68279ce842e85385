//! Why a request to a linked cluster failed, and what that shows of the cluster.

/// Why a request to a linked cluster failed. In words of our own: an error's own may quote where
/// the kubeconfig leads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum RequestFailure {
    /// No sign of life.
    Unreachable(String),
    /// Somebody answers who cannot be verified to be that cluster.
    Unverified(String),
    /// It answers as Kubernetes does, with an error that may pass.
    Failing(String),
    /// It answers, and not with what was asked for.
    Refused(String),
}

impl RequestFailure {
    /// Of a `Status` of the API server.
    pub(crate) fn answered(code: u16, reason: &str) -> Self {
        // Another cluster's text: nothing but what Kubernetes has there goes into an Event.
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
            // Those come and go.
            408 | 410 | 429 => Self::Failing(why),
            400..500 => Self::Refused(why),
            _ => Self::Failing(why),
        }
    }
}
