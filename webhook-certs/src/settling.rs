//! For how long the next CA has been trusted everywhere.

use crate::{Data, held, trust};
use jiff::{SignedDuration, Timestamp};
use rustls::pki_types::CertificateDer;

/// The bundles of one configuration, as they were read before the Secret was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Bundles {
    /// The configuration does not exist: nobody is called by it.
    None,
    /// It could not be read.
    Unknown,
    /// The `caBundle` of each of its webhooks.
    Of(Vec<Vec<u8>>),
}

impl Bundles {
    fn contain(&self, certificate: &CertificateDer<'_>) -> bool {
        match self {
            Self::None => true,
            Self::Unknown => false,
            Self::Of(bundles) => bundles.iter().all(|one| trust::contains(one, certificate)),
        }
    }
}

/// Measures, in one replica, for how long the next CA has been in the bundles of every
/// configuration. A replica that starts measures anew: that only makes a rotation longer, while a
/// time that another one wrote down would make it shorter wherever a clock is set.
#[derive(Debug, Default)]
pub struct Settling {
    since: Option<(CertificateDer<'static>, Timestamp)>,
}

impl Settling {
    /// Takes what was just read; `steady` is the time of a clock that nobody sets.
    pub fn observe(
        &mut self,
        data: &Data,
        configurations: &[Bundles],
        steady: Timestamp,
    ) -> Option<SignedDuration> {
        let next = held::next_certificate(data)
            .filter(|next| configurations.iter().all(|one| one.contain(next)));
        let Some(next) = next else {
            self.since = None;
            return None;
        };
        match &self.since {
            Some((same, since)) if *same == next => Some(since.duration_until(steady)),
            _ => {
                self.since = Some((next, steady));
                Some(SignedDuration::ZERO)
            }
        }
    }
}
