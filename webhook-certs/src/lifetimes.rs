//! How long a CA and a leaf are valid.

use crate::Error;
use jiff::{SignedDuration, Timestamp};

/// How long a CA and a leaf are valid, and how long a CA bundle takes to reach every API server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lifetimes {
    /// Of a CA.
    pub ca: SignedDuration,
    /// Of a leaf.
    pub leaf: SignedDuration,
    /// From a bundle in the webhook configurations until every API server uses it.
    pub propagation: SignedDuration,
}

impl Default for Lifetimes {
    fn default() -> Self {
        Self {
            ca: SignedDuration::from_hours(24 * 365),
            leaf: SignedDuration::from_hours(24 * 7),
            propagation: SignedDuration::from_mins(10),
        }
    }
}

/// Clocks of nodes differ, so a certificate's validity begins in the past.
const BACKDATED: SignedDuration = SignedDuration::from_hours(1);

impl Lifetimes {
    /// Refuses lifetimes in which a CA would end before its successor could be trusted.
    pub fn checked(self) -> Result<Self, Error> {
        let Self { ca, leaf, propagation } = self;
        let second = SignedDuration::from_secs(1);
        let least = leaf.saturating_add(propagation).saturating_add(propagation).saturating_mul(2);
        if leaf < second * 4 || propagation < SignedDuration::ZERO {
            return Err(Error::Lifetimes(format!(
                "found a leaf's life of {leaf:#} and a settle time of {propagation:#}, expected at \
                 least 4s and 0s"
            )));
        }
        if ca < least {
            return Err(Error::Lifetimes(format!(
                "found a CA's life of {ca:#}, expected at least {least:#}: twice a leaf's life \
                 ({leaf:#}) and two settle times ({propagation:#})"
            )));
        }
        Ok(self)
    }

    /// When the successor of a CA is created: after two thirds of its lifetime, and early enough for a
    /// leaf's lifetime and two propagation times.
    pub(crate) fn renew_ca_at(&self, not_before: Timestamp, not_after: Timestamp) -> Timestamp {
        let two_thirds =
            shifted(not_before, not_before.duration_until(not_after).mul_f64(2.0 / 3.0));
        let needed = self.leaf.saturating_add(self.propagation).saturating_add(self.propagation);
        two_thirds.min(shifted(not_after, -needed))
    }

    /// How long a former CA stays trusted: until the last leaf that it can have issued ends, and a
    /// propagation time, since the issuer's clock may be behind.
    pub(crate) fn retirement(&self) -> SignedDuration {
        self.leaf.saturating_add(self.propagation)
    }
}

/// By how much a certificate of this lifetime is backdated; less for the short ones of tests.
pub(crate) fn backdated(life: SignedDuration) -> SignedDuration {
    BACKDATED.min(life / 4)
}

/// Saturates at the earliest and the latest timestamp.
pub(crate) fn shifted(time: Timestamp, by: SignedDuration) -> Timestamp {
    let end = if by.is_negative() { Timestamp::MIN } else { Timestamp::MAX };
    time.checked_add(by).unwrap_or(end)
}
