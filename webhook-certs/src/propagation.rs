//! For how long the next CA has been in every CA bundle.

use crate::{Data, stored, trust};
use jiff::SignedDuration;
use rustls::pki_types::CertificateDer;

/// The CA bundles of one webhook configuration, read before the Secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Bundles {
    /// The configuration does not exist, so no API server calls by it.
    Absent,
    /// It could not be read.
    Unknown,
    /// The `caBundle` of each of its webhooks.
    Present(Vec<Vec<u8>>),
}

impl Bundles {
    fn contain(&self, certificate: &CertificateDer<'_>) -> bool {
        match self {
            Self::Absent => true,
            Self::Unknown => false,
            Self::Present(bundles) => bundles.iter().all(|one| trust::contains(one, certificate)),
        }
    }
}

/// Measures, in one replica, for how long the next CA has been in the bundles of every configuration.
///
/// The measure is not stored: a replica that starts begins again, which only makes a rotation longer,
/// while a stored time would make it shorter where a clock is set.
#[derive(Debug, Default)]
pub struct Propagation {
    since: Option<(CertificateDer<'static>, SignedDuration)>,
}

impl Propagation {
    /// Takes what was just read. `steady` is the time of a monotonic clock, since any fixed moment.
    /// None while the next CA is missing in a bundle.
    pub fn observe(
        &mut self,
        data: &Data,
        configurations: &[Bundles],
        steady: SignedDuration,
    ) -> Option<SignedDuration> {
        let next = stored::next_certificate(data)
            .filter(|next| configurations.iter().all(|one| one.contain(next)));
        let Some(next) = next else {
            self.since = None;
            return None;
        };
        match &self.since {
            Some((same, since)) if *same == next => Some(steady - *since),
            _ => {
                self.since = Some((next, steady));
                Some(SignedDuration::ZERO)
            }
        }
    }
}
