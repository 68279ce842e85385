//! What a TLS handshake that failed shows of who is at the other end.
//!
//! A server that speaks TLS is up. That it cannot be verified means that a certificate was renewed, has
//! expired or was never valid, which is no outage of the cluster.

use crate::informers::remote::failure::RequestFailure;
use rustls::{AlertDescription, CertificateError, Error};

/// The next step where the CA, or the name, is not that of the kubeconfig.
const AGAIN: &str =
    "Link it again with linkerd multicluster link-gen, from a kubeconfig that reaches it";

pub(crate) fn failure(error: &Error) -> RequestFailure {
    match error {
        Error::InvalidCertificate(problem) => RequestFailure::Unverified(certificate(problem)),
        Error::AlertReceived(alert) => ended(*alert),
        Error::PeerIncompatible(_) | Error::NoApplicationProtocol => {
            RequestFailure::Unverified(format!(
                "its API server speaks no version of TLS that this program does (1.2 and 1.3, strong ciphers only). {AGAIN}"
            ))
        }
        // No TLS at all, or the end of it.
        Error::InvalidMessage(_)
        | Error::InappropriateMessage { .. }
        | Error::PeerSentOversizedRecord
        | Error::DecryptError
        | Error::HandshakeNotComplete => {
            RequestFailure::Unreachable("no TLS with its API server".into())
        }
        _ => RequestFailure::Unverified(format!(
            "its API server's certificate cannot be verified. {AGAIN}"
        )),
    }
}

fn certificate(problem: &CertificateError) -> String {
    use CertificateError as Problem;
    let (found, next) = match problem {
        // The latter where a CA was replaced by one with the same name.
        Problem::UnknownIssuer | Problem::BadSignature => (
            "its API server's certificate is not signed by the CA in the kubeconfig",
            "Link it again with linkerd multicluster link-gen, which writes the CA that it has now",
        ),
        Problem::Expired | Problem::ExpiredContext { .. } => (
            "its API server's certificate has expired",
            "Renew it there; where its CA is renewed too, link it again with linkerd multicluster link-gen",
        ),
        Problem::NotValidYet | Problem::NotValidYetContext { .. } => (
            "its API server's certificate is not valid yet",
            "See whether the clocks here and there are right; otherwise renew the certificate, and link it again with linkerd multicluster link-gen",
        ),
        Problem::NotValidForName | Problem::NotValidForNameContext { .. } => (
            "its API server's certificate is for other names than the one in the kubeconfig",
            "Link it again with linkerd multicluster link-gen, with an --api-server-address that the certificate names",
        ),
        Problem::Revoked => (
            "its API server's certificate is revoked",
            "Renew it there, and link it again with linkerd multicluster link-gen",
        ),
        Problem::InvalidPurpose | Problem::InvalidPurposeContext { .. } => {
            ("its API server's certificate is not one for servers", AGAIN)
        }
        _ => ("its API server's certificate cannot be verified", AGAIN),
    };
    format!("{found}. {next}")
}

/// The other end broke the handshake off.
fn ended(alert: AlertDescription) -> RequestFailure {
    use AlertDescription as Alert;
    match alert {
        Alert::CloseNotify | Alert::UserCanceled => {
            RequestFailure::Unreachable("the connection broke".into())
        }
        // About the client's certificate, which is sent to a server that is verified.
        Alert::NoCertificate
        | Alert::BadCertificate
        | Alert::UnsupportedCertificate
        | Alert::CertificateRevoked
        | Alert::CertificateExpired
        | Alert::CertificateUnknown
        | Alert::UnknownCA
        | Alert::AccessDenied
        | Alert::CertificateRequired => RequestFailure::Refused(format!(
            "its API server does not take the client certificate of the kubeconfig ({alert:?}): link it again"
        )),
        _ => RequestFailure::Unverified(format!(
            "its API server breaks off TLS ({alert:?}). {AGAIN}"
        )),
    }
}
