//! A leaf certificate.

use crate::lifetimes::shifted;
use crate::{Error, trust};
use jiff::Timestamp;
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject;
use rustls::sign::CertifiedKey;
use std::sync::Arc;

/// A certificate that a replica serves, with its key. It is kept in memory only.
#[derive(Clone, Debug)]
pub struct Leaf {
    /// The chain and the signing key, as rustls takes them.
    pub certified_key: Arc<CertifiedKey>,
    /// When its validity begins.
    pub not_before: Timestamp,
    /// When its validity ends.
    pub not_after: Timestamp,
}

impl Leaf {
    /// Reads a leaf of another issuer: the leaf first, then any intermediates. The key has to match.
    pub fn from_pem(chain_pem: &[u8], key_pem: &[u8]) -> Result<Self, Error> {
        let chain = trust::certificates(chain_pem);
        let Some(leaf) = chain.first() else {
            return Err(Error::unusable("no certificate", "certificates in PEM, the leaf first"));
        };
        let (not_before, not_after) = trust::validity(leaf)?;
        let key = PrivateKeyDer::from_pem_slice(key_pem)
            .map_err(|error| Error::unusable(error.to_string(), "a private key in PEM"))?;
        let signing = rustls::crypto::aws_lc_rs::sign::any_supported_type(&key)?;
        let certified_key = CertifiedKey::new(chain, signing);
        certified_key.keys_match().map_err(|error| match error {
            rustls::Error::InconsistentKeys(_) => {
                Error::unusable("a key that is not the certificate's", "a matching pair")
            }
            other => other.into(),
        })?;
        Ok(Self { certified_key: Arc::new(certified_key), not_before, not_after })
    }

    /// When to replace it: after two thirds of its lifetime, or up to a twentieth of it earlier by
    /// `jitter` (0 to 1), so that replicas do not renew together.
    pub fn renew_at(&self, jitter: f64) -> Timestamp {
        let life = self.not_before.duration_until(self.not_after);
        let fraction = 2.0 / 3.0 - jitter.clamp(0.0, 1.0) / 20.0;
        shifted(self.not_before, life.mul_f64(fraction))
    }
}
