//! Whether a replica may hold the Lease: a leader has to be able to act.

use std::time::{Duration, Instant};

/// A leader whose caches are not synced for so long releases the Lease. Longer than the restart of a watch
/// takes.
const MAX_INELIGIBLE: Duration = Duration::from_secs(5);

/// What a candidate does next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CandidateStep {
    /// Tries to acquire or renew the Lease.
    Attempt,
    /// Holds no Lease and may acquire none: looks again whether its caches are synced.
    AwaitSync,
    /// Releases the Lease that it holds.
    Release,
}

/// What the state of its caches lets a replica do about the Lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum LeaseAction {
    /// Acquires it where it is free, and renews it.
    AcquireOrRenew,
    /// Renews it where it is held already.
    Renew,
    /// Releases it where it is held.
    Release,
}

/// For how long a replica's caches have not been synced.
#[derive(Debug, Default)]
pub(crate) struct Eligibility {
    ineligible_since: Option<Instant>,
}

impl Eligibility {
    /// What a candidate does next.
    pub(crate) fn next_step(&mut self, synced: bool, leads: bool, now: Instant) -> CandidateStep {
        match (self.action(synced, now), leads) {
            (LeaseAction::AcquireOrRenew, _) | (LeaseAction::Renew, true) => CandidateStep::Attempt,
            (LeaseAction::Release, true) => CandidateStep::Release,
            (LeaseAction::Renew | LeaseAction::Release, false) => CandidateStep::AwaitSync,
        }
    }

    fn action(&mut self, synced: bool, now: Instant) -> LeaseAction {
        if synced {
            self.ineligible_since = None;
            return LeaseAction::AcquireOrRenew;
        }
        let since = *self.ineligible_since.get_or_insert(now);
        if now.saturating_duration_since(since) < MAX_INELIGIBLE {
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

    #[test]
    fn only_a_leader_releases_and_a_standby_without_synced_caches_attempts_nothing() {
        let (mut eligibility, start) = (Eligibility::default(), Instant::now());
        let mut at = |ms, synced, leads| {
            eligibility.next_step(synced, leads, start + Duration::from_millis(ms))
        };
        assert_eq!(at(0, true, false), CandidateStep::Attempt);
        assert_eq!(at(1_000, false, false), CandidateStep::AwaitSync);
        assert_eq!(at(1_000, false, true), CandidateStep::Attempt);
        assert_eq!(at(6_000, false, true), CandidateStep::Release);
        assert_eq!(at(6_000, false, false), CandidateStep::AwaitSync);
    }
}
