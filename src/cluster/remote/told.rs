//! What people hear of linked clusters.

use super::credentials::SecretName;
use super::reach::Transition;
use jiff::SignedDuration;
use std::error::Error;
use std::io::ErrorKind;

/// A change of what is known of a linked cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    pub cluster: String,
    /// The Secret by which it is linked.
    pub secret: SecretName,
    pub what: Transition,
    pub note: String,
}

impl Told {
    pub fn new(
        cluster: &str,
        secret: &SecretName,
        what: Transition,
        why: &str,
        limit: SignedDuration,
    ) -> Self {
        let note = match what {
            Transition::Seen => format!("The endpoints of cluster {cluster} are seen"),
            Transition::Reachable => format!("The endpoints of cluster {cluster} are seen again"),
            Transition::Unreachable => format!(
                "Cluster {cluster} cannot be reached: {why}. The health of its Services is unknown: they keep traffic that they have, and count as down after {limit:#}"
            ),
            Transition::Down => format!(
                "Cluster {cluster} could not be reached for {limit:#}: its Services count as down"
            ),
            Transition::Refused => format!(
                "Cluster {cluster} is not watched, and the health of its Services is unknown: {why}"
            ),
            Transition::Idle => format!("Nothing that is managed rests on cluster {cluster}"),
            Transition::Unlinked => format!(
                "The credentials of cluster {cluster} are gone: the health of its Services is unknown"
            ),
        };
        Self { cluster: cluster.to_owned(), secret: secret.clone(), what, note }
    }
}

/// Why a request to a linked cluster failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// No answer that would tell anything.
    Unreachable(String),
    /// It answers, and not with what was asked for.
    Refused(String),
}

impl Failure {
    /// In words of our own: an error's own may quote where the kubeconfig leads.
    pub fn of(error: &kube::Error) -> Self {
        match error {
            kube::Error::Api(status) => Self::answered(status.code, &status.reason),
            other => Self::Unreachable(unreachable(other)),
        }
    }

    pub fn answered(code: u16, reason: &str) -> Self {
        match code {
            401 => Self::Refused(
                "its API server does not know the credentials (401): link it again".into(),
            ),
            403 => Self::Refused(
                "its API server does not let them list and watch endpointslices (403): link it again"
                    .into(),
            ),
            // Those come and go.
            408 | 410 | 429 => Self::Unreachable(format!("its API server answers {code} {reason}")),
            400..500 => Self::Refused(format!("its API server answers {code} {reason}")),
            _ => Self::Unreachable(format!("its API server answers {code} {reason}")),
        }
    }
}

fn unreachable(error: &kube::Error) -> String {
    let mut next: Option<&(dyn Error + 'static)> = Some(error);
    while let Some(error) = next {
        if let Some(io) = error.downcast_ref::<std::io::Error>() {
            let tls = io.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
            return match (tls, io.kind()) {
                (Some(rustls::Error::InvalidCertificate(_)), _) => {
                    "its API server's certificate is not what the kubeconfig expects".into()
                }
                (Some(_), _) => "no TLS with its API server".into(),
                (None, kind @ (ErrorKind::ConnectionRefused | ErrorKind::TimedOut)) => {
                    kind.to_string()
                }
                (None, ErrorKind::ConnectionReset | ErrorKind::UnexpectedEof) => {
                    "the connection broke".into()
                }
                (None, _) => "no connection".into(),
            };
        }
        if error.to_string() == "dns error" {
            return "the name of its API server is not found".into();
        }
        next = error.source();
    }
    "no answer that can be read".into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_who_does_not_answer_is_unreachable() {
        for (code, refused) in [
            (401, true),
            (403, true),
            (404, true),
            (410, false),
            (429, false),
            (500, false),
            (503, false),
        ] {
            let is = matches!(Failure::answered(code, "Reason"), Failure::Refused(_));
            assert_eq!(is, refused, "{code}");
        }
    }

    #[test]
    fn an_error_is_told_without_where_it_was_met() {
        let refused = std::io::Error::new(ErrorKind::ConnectionRefused, "192.0.2.1:6443 of ana");
        let failure = Failure::of(&kube::Error::ReadEvents(refused));
        assert_eq!(failure, Failure::Unreachable("connection refused".into()));
        let certificate = rustls::CertificateError::UnknownIssuer;
        let tls = std::io::Error::other(rustls::Error::InvalidCertificate(certificate));
        let Failure::Unreachable(why) = Failure::of(&kube::Error::ReadEvents(tls)) else {
            panic!()
        };
        assert!(why.contains("certificate"), "{why}");
    }
}
