//! Who leads: client-go's rules as a state machine, with the time as an argument.
//!
//! By hand because no crate keeps all of them: the ones there compare expiry by the wall
//! clocks of two machines, or write without a resourceVersion, or belong to another client.

use std::time::{Duration, Instant};

/// The three durations of a Lease.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Timing {
    /// How long a record may stay as it is before it counts as expired.
    pub lease: Duration,
    /// How long a holder leads without a successful renewal; shorter than `lease`.
    pub renew_deadline: Duration,
    /// Between two attempts, whether one renews the Lease or fails: a period, not a backoff, since the
    /// deadline bounds it.
    pub retry: Duration,
}

impl Default for Timing {
    /// Shorter than client-go's 15 s: nobody fails over while nobody leads.
    fn default() -> Self {
        Self {
            lease: Duration::from_secs(6),
            renew_deadline: Duration::from_secs(4),
            retry: Duration::from_secs(1),
        }
    }
}

/// What of a Lease matters. Any change of it is a sign of life of whoever holds it; what others
/// write beside it is none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LeaseRecord {
    pub holder: String,
    /// Its times and transitions, as they stand there: only compared.
    pub renewed: String,
}

/// What to do with the Lease now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ElectionStep {
    /// There is none: create it with us as holder.
    Create,
    /// Take it over or renew it, on the observed resourceVersion. `new_holder` counts as a
    /// transition.
    Update { new_holder: bool },
    /// Somebody else holds it.
    Wait,
}

/// One replica's view of the election.
#[derive(Debug)]
pub(crate) struct Election {
    identity: String,
    timing: Timing,
    observed: Option<(LeaseRecord, Instant)>,
    renewed: Option<Instant>,
    /// It has been seen not to be ours. A Lease that names us all the same comes from before, by an
    /// etcd that was restored from a snapshot: somebody else may lead.
    yielded: bool,
}

impl Election {
    pub(crate) fn new(identity: impl Into<String>, timing: Timing) -> Self {
        Self { identity: identity.into(), timing, observed: None, renewed: None, yielded: false }
    }

    /// Observes the record as read at `now`, and returns what to do. Expiry depends on how long the
    /// record has not been seen to change here, never on the times in it.
    pub(crate) fn observe(&mut self, lease: Option<LeaseRecord>, now: Instant) -> ElectionStep {
        let Some(record) = lease else {
            self.observed = None;
            return ElectionStep::Create;
        };
        if self.observed.as_ref().is_none_or(|(seen, _)| *seen != record) {
            self.observed = Some((record.clone(), now));
        }
        let since = self.observed.as_ref().map_or(now, |(_, since)| *since);
        self.yielded |= record.holder != self.identity;
        if record.holder == self.identity && !self.yielded {
            return ElectionStep::Update { new_holder: false };
        }
        let silent = now.saturating_duration_since(since) >= self.timing.lease;
        if record.holder.is_empty() || silent {
            ElectionStep::Update { new_holder: true }
        } else {
            ElectionStep::Wait
        }
    }

    /// The Lease was written with us as holder by a request that began at `began`.
    pub(crate) fn wrote(&mut self, record: LeaseRecord, began: Instant) {
        self.observed = Some((record, began));
        self.renewed = Some(began);
        self.yielded = false;
    }

    /// This replica leads no longer.
    pub(crate) fn lost(&mut self) {
        self.renewed = None;
    }

    /// Whether this replica leads. It stops by itself, before anyone else can begin.
    pub(crate) fn leads(&self, now: Instant) -> bool {
        self.renewed.is_some_and(|renewed| {
            now.saturating_duration_since(renewed) < self.timing.renew_deadline
        })
    }

    /// When leading ends by itself, unless renewed.
    pub(crate) fn leads_until(&self) -> Option<Instant> {
        self.renewed.map(|renewed| renewed + self.timing.renew_deadline)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn held_by(holder: &str, renewed: &str) -> Option<LeaseRecord> {
        Some(LeaseRecord { holder: holder.into(), renewed: renewed.into() })
    }

    fn timing() -> Timing {
        Timing::default()
    }

    #[test]
    fn an_absent_lease_is_created_and_an_empty_one_taken() {
        let mut me = Election::new("me", timing());
        let now = Instant::now();
        assert_eq!(me.observe(None, now), ElectionStep::Create);
        assert_eq!(me.observe(held_by("", "1"), now), ElectionStep::Update { new_holder: true });
    }

    #[test]
    fn a_holder_is_believed_until_it_has_been_silent_for_the_leases_duration() {
        let mut me = Election::new("me", timing());
        let start = Instant::now();
        assert_eq!(me.observe(held_by("other", "1"), start), ElectionStep::Wait);
        let almost = start + timing().lease - Duration::from_millis(1);
        assert_eq!(me.observe(held_by("other", "1"), almost), ElectionStep::Wait);
        // A renewal is any change, whatever the clock of the other says.
        assert_eq!(me.observe(held_by("other", "2"), almost), ElectionStep::Wait);
        let silent = almost + timing().lease;
        assert_eq!(
            me.observe(held_by("other", "2"), silent),
            ElectionStep::Update { new_holder: true }
        );
    }

    #[test]
    fn a_leader_that_cannot_renew_stops_before_anyone_may_begin() {
        let mut me = Election::new("me", timing());
        let start = Instant::now();
        me.wrote(held_by("me", "1").unwrap(), start);
        assert!(me.leads(start));
        assert!(!me.leads(start + timing().renew_deadline));
        assert!(timing().renew_deadline < timing().lease);
    }

    #[test]
    fn our_own_lease_is_renewed_also_after_a_restart() {
        let mut me = Election::new("me", timing());
        let step = me.observe(held_by("me", "7"), Instant::now());
        assert_eq!(step, ElectionStep::Update { new_holder: false });
    }

    #[test]
    fn a_lease_of_ours_from_before_another_led_is_no_longer_ours() {
        let (mut old, mut new) = (Election::new("old", timing()), Election::new("new", timing()));
        let start = Instant::now();
        old.wrote(held_by("old", "10").unwrap(), start);
        old.observe(held_by("new", "900"), start);
        new.wrote(held_by("new", "900").unwrap(), start);
        // etcd is restored from a snapshot of the time when the old one led.
        let restored = start + Duration::from_secs(1);
        assert_eq!(old.observe(held_by("old", "12"), restored), ElectionStep::Wait);
        assert!(new.leads(restored));
        assert_eq!(new.observe(held_by("old", "12"), restored), ElectionStep::Wait);
        let silent = restored + timing().lease;
        assert_eq!(
            old.observe(held_by("old", "12"), silent),
            ElectionStep::Update { new_holder: true }
        );
    }

    #[test]
    fn two_candidates_never_lead_at_once() {
        let (mut a, mut b) = (Election::new("a", timing()), Election::new("b", timing()));
        let start = Instant::now();
        a.wrote(held_by("a", "1").unwrap(), start);
        for ms in (0..20_000).step_by(250) {
            let now = start + Duration::from_millis(ms);
            // a is cut off; b reads the same record again and again.
            if let ElectionStep::Update { .. } = b.observe(held_by("a", "1"), now) {
                b.wrote(held_by("b", "2").unwrap(), now);
            }
            assert!(!(a.leads(now) && b.leads(now)), "both lead after {ms} ms");
        }
        assert!(b.leads(start + Duration::from_millis(19_750)) || b.renewed.is_some());
    }
}
