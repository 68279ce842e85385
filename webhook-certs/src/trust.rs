//! Verification as the API server does it.

use crate::{Error, Leaf};
use jiff::Timestamp;
use rustls::RootCertStore;
use rustls::client::danger::ServerCertVerifier;
use rustls::client::{WebPkiServerVerifier, verify_server_name};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use std::sync::Arc;
use std::time::Duration;
use x509_parser::prelude::{FromDer, X509Certificate};

/// Whether a client that trusts `bundle_pem` accepts the leaf for `name` at `now`.
pub fn verifies(bundle_pem: &[u8], leaf: &Leaf, name: &str, now: Timestamp) -> Result<(), Error> {
    let Some((end_entity, intermediates)) = leaf.certified_key.cert.split_first() else {
        return Err(Error::unusable("no certificate", "a leaf"));
    };
    let bundle = certificates(bundle_pem);
    if bundle.is_empty() {
        return Err(Error::unusable("no certificate in the bundle", "a CA's"));
    }
    let server = ServerName::try_from(name)
        .map_err(|_| Error::unusable(format!("the name {name:?}"), "a DNS name"))?;
    let Ok(seconds) = u64::try_from(now.as_second()) else {
        return Err(Error::unusable(now.to_string(), "a time after 1970: is the clock right?"));
    };
    if bundle.contains(end_entity) {
        // The API server, being Go, trusts a certificate that is itself in the bundle, CA or not.
        if now < leaf.not_before || leaf.not_after < now {
            let found = format!("validity from {} to {}", leaf.not_before, leaf.not_after);
            return Err(Error::unusable(found, "a certificate that is valid now"));
        }
        return Ok(verify_server_name(&ParsedCertificate::try_from(end_entity)?, &server)?);
    }
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(bundle);
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let verifier =
        WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider).build().map_err(
            |error| Error::unusable(error.to_string(), "a bundle with a CA's certificate"),
        )?;
    let now = UnixTime::since_unix_epoch(Duration::from_secs(seconds));
    verifier.verify_server_cert(end_entity, intermediates, &server, &[], now)?;
    Ok(())
}

/// Whether a bundle contains a certificate.
pub fn contains(bundle_pem: &[u8], certificate: &CertificateDer<'_>) -> bool {
    certificates(bundle_pem).iter().any(|one| one == certificate)
}

/// The certificates in a PEM text. Anything else is skipped, as the API server does.
pub fn certificates(text: &[u8]) -> Vec<CertificateDer<'static>> {
    CertificateDer::pem_slice_iter(text).flatten().collect()
}

/// When each certificate of a PEM bundle that can be read expires.
///
/// ```
/// assert!(webhook_certs::expiries(b"no certificate").is_empty());
/// ```
pub fn expiries(text: &[u8]) -> Vec<Timestamp> {
    let ends = certificates(text).into_iter().map(|certificate| validity(certificate.as_ref()));
    ends.filter_map(|validity| validity.ok().map(|(_, end)| end)).collect()
}

pub(crate) fn to_pem(certificate: &CertificateDer<'_>) -> String {
    let config = pem::EncodeConfig::new().set_line_ending(pem::LineEnding::LF);
    pem::encode_config(&pem::Pem::new("CERTIFICATE", certificate.as_ref()), config)
}

/// The validity of a certificate.
pub(crate) fn validity(certificate: &[u8]) -> Result<(Timestamp, Timestamp), Error> {
    validity_of(&parse(certificate)?)
}

/// Reads a certificate in DER.
pub(crate) fn parse(certificate: &[u8]) -> Result<X509Certificate<'_>, Error> {
    X509Certificate::from_der(certificate)
        .map(|(_, parsed)| parsed)
        .map_err(|_| Error::unusable("bytes that are none", "an X.509 certificate"))
}

/// The start and the end of its validity.
pub(crate) fn validity_of(parsed: &X509Certificate<'_>) -> Result<(Timestamp, Timestamp), Error> {
    let validity = parsed.validity();
    let time = |time: x509_parser::time::ASN1Time| {
        Timestamp::from_second(time.timestamp())
            .map_err(|_| Error::unusable("a validity out of range", "dates"))
    };
    Ok((time(validity.not_before)?, time(validity.not_after)?))
}
