//! A leaf certificate.

use jiff::Timestamp;
use rustls::sign::CertifiedKey;
use std::sync::Arc;

/// A certificate that a replica serves, with its key, in memory only.
#[derive(Clone, Debug)]
pub struct Leaf {
    pub certified_key: Arc<CertifiedKey>,
    pub not_before: Timestamp,
    pub not_after: Timestamp,
}

impl Leaf {
    /// When to replace it: after two thirds of its life, or up to a twentieth of it earlier, as
    /// `jitter` (0 to 1) says, so that replicas do not renew together.
    pub fn renew_at(&self, jitter: f64) -> Timestamp {
        let life = self.not_before.duration_until(self.not_after);
        let part = 2.0 / 3.0 - jitter.clamp(0.0, 1.0) / 20.0;
        let wait = life.mul_f64(part);
        self.not_before.saturating_add(wait).unwrap_or(self.not_after)
    }
}
