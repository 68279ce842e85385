//! Why a request to a linked cluster failed, and what that shows of the cluster.

use crate::informers::remote::answer::Foreign;
use crate::informers::remote::handshake;
use std::error::Error;
use std::io::{self, ErrorKind};
use std::iter::successors;

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
    /// Of a request by the client of a linked cluster: its `Api` errors are Kubernetes' own, by
    /// [`answer`](crate::informers::remote::answer).
    pub(crate) fn of(error: &kube::Error) -> Self {
        if let kube::Error::Api(status) = error {
            return Self::answered(status.code, &status.reason);
        }
        let tls = causes(error).find_map(<dyn Error>::downcast_ref::<rustls::Error>);
        if let Some(tls) = tls {
            return handshake::failure(tls);
        }
        Self::Unreachable(
            causes(error).find_map(silence).unwrap_or("no answer that can be read".into()),
        )
    }

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

/// Longer than any chain of causes: one that leads back to itself must end too.
const CAUSES: usize = 32;

/// An error, and what it comes from.
fn causes<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    successors(Some(error), |error| cause(*error)).take(CAUSES)
}

fn cause<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a (dyn Error + 'static)> {
    // What an io::Error wraps is not its source, but the source of that is.
    match error.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
        Some(wrapped) => Some(wrapped),
        None => error.source(),
    }
}

/// What a cause says of why there is no answer of the API server.
fn silence(cause: &(dyn Error + 'static)) -> Option<String> {
    if let Some(Foreign { code }) = cause.downcast_ref() {
        return Some(format!(
            "what answers there is no Kubernetes API server (HTTP status {code})"
        ));
    }
    if let Some(io) = cause.downcast_ref::<io::Error>() {
        return match io.kind() {
            kind @ (ErrorKind::ConnectionRefused | ErrorKind::TimedOut) => Some(kind.to_string()),
            ErrorKind::ConnectionReset | ErrorKind::UnexpectedEof | ErrorKind::BrokenPipe => {
                Some("the connection broke".into())
            }
            _ if io.get_ref().is_some() => None,
            _ => Some("no connection".into()),
        };
    }
    let is_dns = cause.to_string() == "dns error";
    is_dns.then(|| "the name of its API server is not found".into())
}

#[cfg(test)]
#[path = "failure_tests.rs"]
mod tests;
