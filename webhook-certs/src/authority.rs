//! The certificate authority.

use crate::Leaf;
use jiff::{SignedDuration, Timestamp};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, GeneralSubtree, IsCa,
    Issuer, KeyPair, KeyUsagePurpose, NameConstraints, PKCS_ECDSA_P256_SHA256,
};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::sign::CertifiedKey;
use std::fmt;
use std::sync::Arc;
use time::OffsetDateTime;
use x509_parser::prelude::{FromDer, X509Certificate};

const DAY: SignedDuration = SignedDuration::from_hours(24);
/// How long a new CA is valid.
const CA_LIFE: SignedDuration = SignedDuration::from_hours(24 * 365);
/// How long a leaf is valid.
const LEAF_LIFE: SignedDuration = SignedDuration::from_hours(24 * 7);
/// Certificates are valid from an hour ago: clocks of nodes differ.
const BACKDATED: SignedDuration = SignedDuration::from_hours(1);
/// A CA with less life than this issues no more leaves.
const LEAST_LIFE: SignedDuration = DAY;

/// What is wrong with a certificate or a key.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("{0}")]
    Certificate(#[from] rcgen::Error),
    #[error("the key cannot be used for TLS: {0}")]
    Tls(#[from] rustls::Error),
    #[error("found {found}, expected {expected}")]
    Unusable { found: String, expected: &'static str },
}

/// A CA: its certificate and its key.
pub struct Authority {
    cert_pem: String,
    key: KeyPair,
    not_after: Timestamp,
}

impl fmt::Debug for Authority {
    /// Never the key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Authority").field("not_after", &self.not_after).finish_non_exhaustive()
    }
}

impl Authority {
    /// Makes a CA that can vouch for these DNS names and no others.
    pub fn generate(names: &[String], now: Timestamp) -> Result<Self, Error> {
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
        let not_after = after(now, CA_LIFE);
        let mut params = params(now, not_after)?;
        // Told apart by the moment they were made, where two stand in one bundle.
        let name = format!("linkerd-failover webhook CA {}", now.as_millisecond());
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        params.name_constraints = Some(NameConstraints {
            permitted_subtrees: names.iter().cloned().map(GeneralSubtree::DnsName).collect(),
            excluded_subtrees: vec![],
        });
        let cert_pem = params.self_signed(&key)?.pem();
        Ok(Self { cert_pem, key, not_after: to_the_second(not_after) })
    }

    /// Reads a CA back. The pair has to belong together, and the certificate has to be a CA's.
    pub fn from_pem(cert_pem: &str, key_pem: &str) -> Result<Self, Error> {
        let unusable = |found: String, expected| Err(Error::Unusable { found, expected });
        let key = KeyPair::from_pem(key_pem)?;
        let Ok((_, pem)) = x509_parser::pem::parse_x509_pem(cert_pem.as_bytes()) else {
            return unusable("no PEM".into(), "a certificate in PEM");
        };
        let Ok((_, cert)) = X509Certificate::from_der(&pem.contents) else {
            return unusable(pem.label, "an X.509 certificate");
        };
        if !cert.is_ca() {
            return unusable("a certificate that is no CA's".into(), "a CA certificate");
        }
        if *cert.public_key().subject_public_key.data != *key.public_key_raw() {
            return unusable("a key that is not the certificate's".into(), "a matching pair");
        }
        let Ok(not_after) = Timestamp::from_second(cert.validity().not_after.timestamp()) else {
            return unusable("an end of validity out of range".into(), "a date");
        };
        Ok(Self { cert_pem: cert_pem.to_owned(), key, not_after })
    }

    /// The certificate, for a `caBundle`.
    pub fn cert_pem(&self) -> &str {
        &self.cert_pem
    }

    /// The key. A secret.
    pub fn key_pem(&self) -> String {
        self.key.serialize_pem()
    }

    pub fn not_after(&self) -> Timestamp {
        self.not_after
    }

    /// Whether enough of its life is left to issue leaves.
    pub fn is_usable(&self, now: Timestamp) -> bool {
        now.duration_until(self.not_after) > LEAST_LIFE
    }

    /// Issues a leaf for these DNS names, which never outlives the CA.
    pub fn issue(&self, names: &[String], now: Timestamp) -> Result<Leaf, Error> {
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
        let not_after = after(now, LEAF_LIFE).min(self.not_after);
        let mut params = params(now, not_after)?;
        params.subject_alt_names = CertificateParams::new(names)?.subject_alt_names;
        params.distinguished_name.push(DnType::CommonName, "linkerd-failover webhook");
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.use_authority_key_identifier_extension = true;
        let issuer = Issuer::from_ca_cert_pem(&self.cert_pem, &self.key)?;
        let cert = params.signed_by(&key, &issuer)?;
        let der = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let signing = rustls::crypto::aws_lc_rs::sign::any_supported_type(&der)?;
        Ok(Leaf {
            certified_key: Arc::new(CertifiedKey::new(vec![cert.der().clone()], signing)),
            not_before: to_the_second(after(now, -BACKDATED)),
            not_after: to_the_second(not_after),
        })
    }
}

fn params(now: Timestamp, not_after: Timestamp) -> Result<CertificateParams, Error> {
    let mut params = CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.not_before = offset(after(now, -BACKDATED))?;
    params.not_after = offset(not_after)?;
    Ok(params)
}

/// Saturates at the ends of time.
fn after(now: Timestamp, life: SignedDuration) -> Timestamp {
    now.saturating_add(life).unwrap_or(now)
}

fn offset(time: Timestamp) -> Result<OffsetDateTime, Error> {
    OffsetDateTime::from_unix_timestamp(time.as_second())
        .map_err(|e| Error::Unusable { found: e.to_string(), expected: "a time X.509 can hold" })
}

fn to_the_second(time: Timestamp) -> Timestamp {
    Timestamp::from_second(time.as_second()).unwrap_or(time)
}
