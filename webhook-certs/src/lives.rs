//! How long things live.

use crate::Error;
use jiff::{SignedDuration, Timestamp};

/// How long a CA and a leaf are valid, and how long a bundle is waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lives {
    pub ca: SignedDuration,
    pub leaf: SignedDuration,
    /// From a bundle seen in the configurations until every API server has it.
    pub settle: SignedDuration,
}

impl Default for Lives {
    fn default() -> Self {
        Self {
            ca: SignedDuration::from_hours(24 * 365),
            leaf: SignedDuration::from_hours(24 * 7),
            settle: SignedDuration::from_mins(10),
        }
    }
}

/// Clocks of nodes differ: certificates are valid from so long ago.
const BACKDATED: SignedDuration = SignedDuration::from_hours(1);

impl Lives {
    /// Refuses lives in which a CA would end before its successor could be trusted.
    pub fn checked(self) -> Result<Self, Error> {
        let Self { ca, leaf, settle } = self;
        let second = SignedDuration::from_secs(1);
        let least = leaf.saturating_add(settle).saturating_add(settle).saturating_mul(2);
        if leaf < second * 4 || settle < SignedDuration::ZERO {
            return Err(Error::Lives(format!(
                "found a leaf's life of {leaf:#} and a settle time of {settle:#}, expected at \
                 least 4s and 0s"
            )));
        }
        if ca < least {
            return Err(Error::Lives(format!(
                "found a CA's life of {ca:#}, expected at least {least:#}: twice a leaf's life \
                 ({leaf:#}) and two settle times ({settle:#})"
            )));
        }
        Ok(self)
    }

    /// When the successor of a CA is made: after two thirds of its life, and early enough that a
    /// whole leaf's life and the waiting still fit.
    pub(crate) fn renew_ca_at(&self, not_before: Timestamp, not_after: Timestamp) -> Timestamp {
        let two_thirds =
            shifted(not_before, not_before.duration_until(not_after).mul_f64(2.0 / 3.0));
        let needed = self.leaf.saturating_add(self.settle).saturating_add(self.settle);
        two_thirds.min(shifted(not_after, -needed))
    }

    /// How long a former CA has to be trusted: until the last leaf it can have issued has ended,
    /// and a settle time, since the clock of who issued it may be behind.
    pub(crate) fn retirement(&self) -> SignedDuration {
        self.leaf.saturating_add(self.settle)
    }
}

/// By how much a certificate of this life is backdated; less for the short lives of tests.
pub(crate) fn backdated(life: SignedDuration) -> SignedDuration {
    BACKDATED.min(life / 4)
}

/// Saturates at the ends of time.
pub(crate) fn shifted(time: Timestamp, by: SignedDuration) -> Timestamp {
    let end = if by.is_negative() { Timestamp::MIN } else { Timestamp::MAX };
    time.checked_add(by).unwrap_or(end)
}
