//! Whether a replica may hold the Lease: a leader has to be able to act.

use std::time::{Duration, Instant};

/// A leader whose caches are not synced for so long releases the Lease. Longer than it takes to start
/// a watch again that was cut.
const INELIGIBLE: Duration = Duration::from_secs(5);

/// What a replica does about the Lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LeaseAction {
    /// Takes it if it is free, and renews it.
    AcquireOrRenew,
    /// Renews it where it holds it already.
    Renew,
    /// Gives it back where it holds it.
    Release,
}

/// For how long a replica's caches have not been synced.
#[derive(Debug, Default)]
pub(crate) struct Eligibility {
    ineligible_since: Option<Instant>,
}

impl Eligibility {
    /// What to do about the Lease now.
    pub(crate) fn action(&mut self, synced: bool, now: Instant) -> LeaseAction {
        if synced {
            self.ineligible_since = None;
            return LeaseAction::AcquireOrRenew;
        }
        let since = *self.ineligible_since.get_or_insert(now);
        if now.saturating_duration_since(since) < INELIGIBLE {
            LeaseAction::Renew
        } else {
            LeaseAction::Release
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_replica_without_synced_caches_acquires_no_lease_and_releases_its_own_after_a_while() {
        let (mut eligibility, start) = (Eligibility::default(), Instant::now());
        let mut at = |ms, synced| eligibility.action(synced, start + Duration::from_millis(ms));
        assert_eq!(at(0, false), LeaseAction::Renew);
        assert_eq!(at(4_999, false), LeaseAction::Renew);
        assert_eq!(at(5_000, false), LeaseAction::Release);
        assert_eq!(at(6_000, true), LeaseAction::AcquireOrRenew);
        assert_eq!(
            at(7_000, false),
            LeaseAction::Renew,
            "every interruption is counted from its beginning"
        );
    }
}
