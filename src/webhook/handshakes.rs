//! TLS handshakes that fail: counted by reason, and logged once while they go on. If the handshakes of
//! the API server fail, every review does, and its own message names no cause.

use crate::telemetry::HandshakeFailure;
use rustls::{AlertDescription, Error, PeerIncompatible};
use std::collections::BTreeMap;
use std::io;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// A series of failures is over after this time without another one of its kind.
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

    /// What it means and what to do; none where it is harmless, or reported elsewhere.
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

/// The failures that go on, by reason: a series each.
#[derive(Debug, Default)]
pub(crate) struct Handshakes(Mutex<BTreeMap<HandshakeFailure, FailureSeries>>);

#[derive(Debug)]
struct FailureSeries {
    last: Instant,
    times: u64,
}

impl Handshakes {
    /// Records a failure. Returns a warning for the first of a series.
    pub(crate) fn failed(
        &self,
        reason: HandshakeFailure,
        error: &str,
        from: IpAddr,
        now: Instant,
    ) -> Option<String> {
        let advice = reason.advice()?;
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let series = all.entry(reason).or_insert(FailureSeries { last: now, times: 0 });
        (series.last, series.times) = (now, series.times + 1);
        (series.times == 1).then(|| {
            format!(
                "a TLS handshake with the webhook failed, which is logged once while it goes on: from {from}: {error}: {advice}"
            )
        })
    }

    /// Removes the series that are over, and returns how many failures each had.
    pub(crate) fn take_ended(&self, now: Instant) -> Vec<(HandshakeFailure, u64)> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let has_ended = |series: &FailureSeries| now.saturating_duration_since(series.last) >= OVER;
        let ended: Vec<_> =
            all.iter().filter(|(_, s)| has_ended(s)).map(|(r, s)| (*r, s.times)).collect();
        all.retain(|_, series| !has_ended(series));
        ended
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustls::CertificateError;

    const FROM: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

    #[test]
    fn a_failure_is_classified_by_what_a_person_has_to_do_about_it() {
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
            let classified =
                HandshakeFailure::of(&io::Error::new(io::ErrorKind::InvalidData, error));
            assert_eq!(classified, reason);
        }
        assert_eq!(
            HandshakeFailure::of(&io::ErrorKind::UnexpectedEof.into()),
            HandshakeFailure::Closed
        );
    }

    #[test]
    fn a_failure_is_reported_once_while_it_lasts_and_again_after_it_has_ended() {
        let (handshakes, start) = (Handshakes::default(), Instant::now());
        let fail = |reason, after: u64| {
            handshakes.failed(reason, "why", FROM, start + Duration::from_secs(after))
        };
        let ended = |after: u64| handshakes.take_ended(start + Duration::from_secs(after));
        let warning = fail(HandshakeFailure::TlsVersion, 0).unwrap();
        assert!(warning.contains("127.0.0.1") && warning.contains("tlsMinVersion"), "{warning}");
        assert_eq!(fail(HandshakeFailure::TlsVersion, 30), None);
        assert!(fail(HandshakeFailure::NotTls, 31).is_some(), "another reason is another matter");
        assert_eq!(ended(60), []);
        assert_eq!(ended(90), [(HandshakeFailure::TlsVersion, 2)]);
        assert_eq!(ended(91), [(HandshakeFailure::NotTls, 1)]);
        assert!(fail(HandshakeFailure::TlsVersion, 92).is_some());
    }

    #[test]
    fn a_check_of_the_port_is_no_failure() {
        let handshakes = Handshakes::default();
        assert_eq!(handshakes.failed(HandshakeFailure::Closed, "eof", FROM, Instant::now()), None);
    }
}
