//! The certificate authority.

use crate::lifetimes::{backdated, shifted};
use crate::{Error, Leaf, Lifetimes, Unusable, trust};
use jiff::{SignedDuration, Timestamp};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, GeneralSubtree, IsCa,
    Issuer, KeyPair, KeyUsagePurpose, NameConstraints, PKCS_ECDSA_P256_SHA256,
};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::sign::CertifiedKey;
use std::fmt;
use std::sync::Arc;
use time::OffsetDateTime;

/// A CA: its certificate and its key.
pub struct Authority {
    certificate: CertificateDer<'static>,
    key: KeyPair,
    not_before: Timestamp,
    not_after: Timestamp,
}

impl fmt::Debug for Authority {
    /// Never the key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Authority").field("not_after", &self.not_after).finish_non_exhaustive()
    }
}

impl Authority {
    /// Creates a CA whose name constraints allow these DNS names and no others.
    ///
    /// ```
    /// use jiff::Timestamp;
    /// use webhook_certs::{Authority, Lifetimes};
    ///
    /// let names = ["webhook.example.svc".to_owned()];
    /// let (lifetimes, now) = (Lifetimes::default(), Timestamp::now());
    /// let ca = Authority::generate(&names, &lifetimes, now)?;
    /// let leaf = ca.issue(&names, &lifetimes, now)?;
    /// assert!(leaf.not_after < ca.not_after());
    /// # Ok::<(), webhook_certs::Error>(())
    /// ```
    pub fn generate(
        names: &[String],
        lifetimes: &Lifetimes,
        now: Timestamp,
    ) -> Result<Self, Error> {
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
        let (not_before, not_after) = validity(now, lifetimes.ca);
        let mut params = params(not_before, not_after)?;
        // The time of creation distinguishes two CAs in one bundle.
        let name = format!("linkerd-failover webhook CA {}", now.as_millisecond());
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        params.name_constraints = Some(NameConstraints {
            permitted_subtrees: names.iter().cloned().map(GeneralSubtree::DnsName).collect(),
            excluded_subtrees: vec![],
        });
        let certificate = params.self_signed(&key)?.der().clone();
        Ok(Self { certificate, key, not_before, not_after })
    }

    /// Reads a CA from PEM: a CA certificate and the key that belongs to it.
    pub fn from_pem(cert_pem: &str, key_pem: &str) -> Result<Self, Error> {
        let key = KeyPair::from_pem(key_pem)?;
        let Some(certificate) = trust::certificates(cert_pem.as_bytes()).into_iter().next() else {
            return Err(Error::unusable("no certificate", "a certificate in PEM"));
        };
        let parsed = trust::parse(&certificate)?;
        if !parsed.is_ca() {
            return Err(Error::unusable("a certificate that is no CA's", "a CA certificate"));
        }
        if *parsed.public_key().subject_public_key.data != *key.public_key_raw() {
            return Err(Error::unusable("a key that is not the certificate's", "a matching pair"));
        }
        let (not_before, not_after) = trust::validity_of(&parsed)?;
        Ok(Self { certificate, key, not_before, not_after })
    }

    /// The certificate, for a `caBundle`.
    pub fn cert_pem(&self) -> String {
        trust::to_pem(&self.certificate)
    }

    /// The private key in PEM.
    pub fn key_pem(&self) -> String {
        self.key.serialize_pem()
    }

    /// The certificate in DER.
    pub fn certificate(&self) -> &CertificateDer<'static> {
        &self.certificate
    }

    /// When its validity ends.
    pub fn not_after(&self) -> Timestamp {
        self.not_after
    }

    /// When its successor is to be created.
    pub fn renew_at(&self, lifetimes: &Lifetimes) -> Timestamp {
        lifetimes.renew_ca_at(self.not_before, self.not_after)
    }

    /// Whether a client that trusts the CA would accept a leaf for these names now.
    pub fn check(
        &self,
        names: &[String],
        lifetimes: &Lifetimes,
        now: Timestamp,
    ) -> Result<(), Unusable> {
        if now >= self.not_after {
            return Err(Unusable::Expired(self.not_after));
        }
        if now < self.not_before {
            return Err(Unusable::NotYetValid(self.not_before));
        }
        let leaf = self.issue(names, lifetimes, now).map_err(Unusable::CannotIssue)?;
        let bundle = self.cert_pem();
        names.iter().try_for_each(|name| {
            trust::verifies(bundle.as_bytes(), &leaf, name, now)
                .map_err(|error| Unusable::Refused { name: name.clone(), error })
        })
    }

    /// Issues a leaf for these DNS names. It ends with the CA at the latest.
    pub fn issue(
        &self,
        names: &[String],
        lifetimes: &Lifetimes,
        now: Timestamp,
    ) -> Result<Leaf, Error> {
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
        let (not_before, not_after) = validity(now, lifetimes.leaf);
        let not_after = not_after.min(self.not_after);
        let mut params = params(not_before, not_after)?;
        params.subject_alt_names = CertificateParams::new(names)?.subject_alt_names;
        params.distinguished_name.push(DnType::CommonName, "linkerd-failover webhook");
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.use_authority_key_identifier_extension = true;
        let issuer = Issuer::from_ca_cert_der(&self.certificate, &self.key)?;
        let cert = params.signed_by(&key, &issuer)?;
        let der = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let signing = rustls::crypto::aws_lc_rs::sign::any_supported_type(&der)?;
        Ok(Leaf {
            certified_key: Arc::new(CertifiedKey::new(vec![cert.der().clone()], signing)),
            not_before,
            not_after,
        })
    }
}

/// The start and the end of a validity, in the whole seconds of X.509.
fn validity(now: Timestamp, life: SignedDuration) -> (Timestamp, Timestamp) {
    let to_the_second = |t: Timestamp| Timestamp::from_second(t.as_second()).unwrap_or(t);
    (to_the_second(shifted(now, -backdated(life))), to_the_second(shifted(now, life)))
}

fn params(not_before: Timestamp, not_after: Timestamp) -> Result<CertificateParams, Error> {
    let mut params = CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.not_before = offset(not_before)?;
    params.not_after = offset(not_after)?;
    Ok(params)
}

fn offset(time: Timestamp) -> Result<OffsetDateTime, Error> {
    OffsetDateTime::from_unix_timestamp(time.as_second())
        .map_err(|e| Error::unusable(e.to_string(), "a time X.509 can hold"))
}
