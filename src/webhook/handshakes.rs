//! Handshakes that fail: counted by reason, and said once for as long as they go on. Where it is the
//! API server whose handshakes fail, every review does, and its own message names no cause.

use crate::telemetry::HandshakeFailure;
use rustls::{AlertDescription, Error, PeerIncompatible};
use std::collections::BTreeMap;
use std::io;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Without another failure of its kind for so long, it is over.
const OVER: Duration = Duration::from_secs(60);

impl HandshakeFailure {
    pub(crate) fn of(error: &io::Error) -> Self {
        let tls = error.get_ref().and_then(|inner| inner.downcast_ref::<Error>());
        match tls {
            Some(error) => Self::of_tls(error),
            None => Self::Closed,
        }
    }

    fn of_tls(error: &Error) -> Self {
        match error {
            Error::NoCertificatesPresented => Self::NoClientCertificate,
            Error::InvalidCertificate(_) => Self::ClientCertificate,
            Error::PeerIncompatible(
                PeerIncompatible::ServerDoesNotSupportTls12Or13
                | PeerIncompatible::ServerTlsVersionIsDisabledByOurConfig
                | PeerIncompatible::SupportedVersionsExtensionRequired
                | PeerIncompatible::Tls12NotOffered
                | PeerIncompatible::Tls12NotOfferedOrEnabled
                | PeerIncompatible::Tls13RequiredForQuic,
            ) => Self::TlsVersion,
            Error::PeerIncompatible(_) => Self::Incompatible,
            Error::AlertReceived(alert) => match alert {
                AlertDescription::ProtocolVersion => Self::TlsVersion,
                AlertDescription::BadCertificate
                | AlertDescription::UnsupportedCertificate
                | AlertDescription::CertificateRevoked
                | AlertDescription::CertificateExpired
                | AlertDescription::CertificateUnknown
                | AlertDescription::UnknownCA => Self::OurCertificate,
                _ => Self::Other,
            },
            Error::InvalidMessage(_) => Self::NotTls,
            Error::General(why) if why.contains("no server certificate") => Self::NothingToServe,
            _ => Self::Other,
        }
    }

    /// What it means and what to do; none where it means nothing, or is said elsewhere.
    fn advice(self) -> Option<&'static str> {
        match self {
            Self::TlsVersion => Some(
                "the client speaks no TLS 1.3. If it is the API server, every review fails: set webhook.tlsMinVersion to \"1.2\" (--tls-min-version)",
            ),
            Self::Incompatible => {
                Some("the client and we have no cipher suite, group or signature in common")
            }
            Self::NoClientCertificate => Some(
                "the client showed no certificate, which webhook.clientCA (--client-ca) asks for. If it is the API server, every review fails: give it one by its --admission-control-config-file",
            ),
            Self::ClientCertificate => Some(
                "the client's certificate is not valid by webhook.clientCA (--client-ca). If it is the API server, every review fails: put the CA of its present certificate into that Secret, which is read again within seconds",
            ),
            Self::OurCertificate => Some(
                "the client does not believe our certificate. If it is the API server, every review fails: see the caBundle of both webhook configurations, and webhook_bundle_in_sync",
            ),
            Self::NotTls => Some("what the client says is no TLS"),
            Self::Timeout => Some("the client says too little for too long"),
            Self::Other => Some("the client and we do not agree"),
            Self::NothingToServe | Self::Closed => None,
        }
    }
}

/// The failures that go on, by reason.
#[derive(Debug, Default)]
pub(crate) struct Handshakes(Mutex<BTreeMap<HandshakeFailure, FailureSpell>>);

#[derive(Debug)]
struct FailureSpell {
    last: Instant,
    times: u64,
}

impl Handshakes {
    /// Takes in a failure. What is to be said of it: only of the first of its kind.
    pub(crate) fn failed(
        &self,
        reason: HandshakeFailure,
        error: &str,
        from: IpAddr,
        now: Instant,
    ) -> Option<String> {
        let advice = reason.advice()?;
        let mut spells = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let spell = spells.entry(reason).or_insert(FailureSpell { last: now, times: 0 });
        (spell.last, spell.times) = (now, spell.times + 1);
        (spell.times == 1).then(|| {
            format!(
                "a TLS handshake with the webhook failed, which is said once while it goes on: from {from}: {error}: {advice}"
            )
        })
    }

    /// What is over by now, each with how often it failed.
    pub(crate) fn over(&self, now: Instant) -> Vec<(HandshakeFailure, u64)> {
        let mut spells = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let past = |spell: &FailureSpell| now.saturating_duration_since(spell.last) >= OVER;
        let over: Vec<_> =
            spells.iter().filter(|(_, s)| past(s)).map(|(r, s)| (*r, s.times)).collect();
        spells.retain(|_, spell| !past(spell));
        over
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustls::CertificateError;

    const FROM: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

    #[test]
    fn a_failure_is_told_by_what_a_person_has_to_do_about_it() {
        let unknown = Error::InvalidCertificate(CertificateError::UnknownIssuer);
        for (error, reason) in [
            (
                PeerIncompatible::SupportedVersionsExtensionRequired.into(),
                HandshakeFailure::TlsVersion,
            ),
            (PeerIncompatible::NoCipherSuitesInCommon.into(), HandshakeFailure::Incompatible),
            (Error::NoCertificatesPresented, HandshakeFailure::NoClientCertificate),
            (unknown, HandshakeFailure::ClientCertificate),
            (Error::AlertReceived(AlertDescription::UnknownCA), HandshakeFailure::OurCertificate),
            (
                Error::AlertReceived(AlertDescription::BadCertificate),
                HandshakeFailure::OurCertificate,
            ),
            (Error::DecryptError, HandshakeFailure::Other),
        ] {
            let told = HandshakeFailure::of(&io::Error::new(io::ErrorKind::InvalidData, error));
            assert_eq!(told, reason);
        }
        assert_eq!(
            HandshakeFailure::of(&io::ErrorKind::UnexpectedEof.into()),
            HandshakeFailure::Closed
        );
    }

    #[test]
    fn a_failure_is_said_once_while_it_lasts_and_again_after_it_was_over() {
        let (handshakes, start) = (Handshakes::default(), Instant::now());
        let fail = |reason, after: u64| {
            handshakes.failed(reason, "why", FROM, start + Duration::from_secs(after))
        };
        let over = |after: u64| handshakes.over(start + Duration::from_secs(after));
        let said = fail(HandshakeFailure::TlsVersion, 0).unwrap();
        assert!(said.contains("127.0.0.1") && said.contains("tlsMinVersion"), "{said}");
        assert_eq!(fail(HandshakeFailure::TlsVersion, 30), None);
        assert!(fail(HandshakeFailure::NotTls, 31).is_some(), "another reason is another matter");
        assert_eq!(over(60), []);
        assert_eq!(over(90), [(HandshakeFailure::TlsVersion, 2)]);
        assert_eq!(over(91), [(HandshakeFailure::NotTls, 1)]);
        assert!(fail(HandshakeFailure::TlsVersion, 92).is_some());
    }

    #[test]
    fn a_check_of_the_port_is_no_failure() {
        let handshakes = Handshakes::default();
        assert_eq!(handshakes.failed(HandshakeFailure::Closed, "eof", FROM, Instant::now()), None);
    }
}
