//! The rules of client-go's leader election as a state machine, with the time as an argument.
//!
//! No crate has all of these rules: those there are compare expiry by the wall clocks of two machines,
//! write without a resourceVersion, or need another client.

use std::time::{Duration, Instant};

/// The three durations of a Lease.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Timing {
    /// How long a record may stay unchanged before it counts as expired.
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

/// The part of a Lease that its holder renews. Any change of it is a sign of life of the holder; a change
/// of the rest is none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LeaseRecord {
    pub holder: String,
    /// Its times and transitions, as text: they are only compared.
    pub renewed: String,
}

/// What to do with the Lease now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ElectionStep {
    /// There is none: create it with this replica as holder.
    Create,
    /// Take it over or renew it, on the observed resourceVersion. `new_holder` counts as a
    /// transition.
    Update { new_holder: bool },
    /// Another replica holds it.
    Wait,
}

/// One replica's view of the election.
#[derive(Debug)]
pub(crate) struct Election {
    identity: String,
    timing: Timing,
    observed: Option<(LeaseRecord, Instant)>,
    renewed: Option<Instant>,
    /// The Lease was seen with another holder. One that names this replica afterwards comes from an etcd
    /// that was restored from a snapshot: another replica may lead.
    yielded: bool,
}

impl Election {
    pub(crate) fn new(identity: impl Into<String>, timing: Timing) -> Self {
        Self { identity: identity.into(), timing, observed: None, renewed: None, yielded: false }
    }

    /// Observes the record as read at `now`, and returns what to do. Expiry is measured by the clock of this
    /// replica, from the last change that it saw, and never by the times in the record.
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

    /// The Lease was written, with this replica as holder, by a request that began at `began`.
    pub(crate) fn wrote(&mut self, record: LeaseRecord, began: Instant) {
        self.observed = Some((record, began));
        self.renewed = Some(began);
        self.yielded = false;
    }

    /// This replica leads no longer.
    pub(crate) fn lost(&mut self) {
        self.renewed = None;
    }

    /// Whether this replica leads. It stops by itself, before another can begin.
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

    fn record_of(holder: &str, renewed: &str) -> Option<LeaseRecord> {
        Some(LeaseRecord { holder: holder.into(), renewed: renewed.into() })
    }

    fn timing() -> Timing {
        Timing::default()
    }

    #[test]
    fn an_absent_lease_is_created_and_a_released_one_acquired() {
        let mut me = Election::new("me", timing());
        let now = Instant::now();
        assert_eq!(me.observe(None, now), ElectionStep::Create);
        assert_eq!(me.observe(record_of("", "1"), now), ElectionStep::Update { new_holder: true });
    }

    #[test]
    fn a_holder_leads_until_it_is_silent_for_the_duration_of_the_lease() {
        let mut me = Election::new("me", timing());
        let start = Instant::now();
        assert_eq!(me.observe(record_of("other", "1"), start), ElectionStep::Wait);
        let almost = start + timing().lease - Duration::from_millis(1);
        assert_eq!(me.observe(record_of("other", "1"), almost), ElectionStep::Wait);
        // A renewal is any change, whatever the clock of the other says.
        assert_eq!(me.observe(record_of("other", "2"), almost), ElectionStep::Wait);
        let silent = almost + timing().lease;
        assert_eq!(
            me.observe(record_of("other", "2"), silent),
            ElectionStep::Update { new_holder: true }
        );
    }

    #[test]
    fn a_leader_that_cannot_renew_stops_before_another_may_begin() {
        let mut me = Election::new("me", timing());
        let start = Instant::now();
        me.wrote(record_of("me", "1").unwrap(), start);
        assert!(me.leads(start));
        assert!(!me.leads(start + timing().renew_deadline));
        assert!(timing().renew_deadline < timing().lease);
    }

    #[test]
    fn a_replica_renews_its_own_lease_after_a_restart() {
        let mut me = Election::new("me", timing());
        let step = me.observe(record_of("me", "7"), Instant::now());
        assert_eq!(step, ElectionStep::Update { new_holder: false });
    }

    #[test]
    fn a_restored_lease_of_an_earlier_leader_does_not_make_it_lead() {
        let (mut old, mut new) = (Election::new("old", timing()), Election::new("new", timing()));
        let start = Instant::now();
        old.wrote(record_of("old", "10").unwrap(), start);
        old.observe(record_of("new", "900"), start);
        new.wrote(record_of("new", "900").unwrap(), start);
        // etcd is restored from a snapshot of the time when the old one led.
        let restored = start + Duration::from_secs(1);
        assert_eq!(old.observe(record_of("old", "12"), restored), ElectionStep::Wait);
        assert!(new.leads(restored));
        assert_eq!(new.observe(record_of("old", "12"), restored), ElectionStep::Wait);
        let silent = restored + timing().lease;
        assert_eq!(
            old.observe(record_of("old", "12"), silent),
            ElectionStep::Update { new_holder: true }
        );
    }

    #[test]
    fn two_candidates_never_lead_at_once() {
        let (mut a, mut b) = (Election::new("a", timing()), Election::new("b", timing()));
        let start = Instant::now();
        a.wrote(record_of("a", "1").unwrap(), start);
        for ms in (0..20_000).step_by(250) {
            let now = start + Duration::from_millis(ms);
            // a is cut off; b reads the same record again and again.
            if let ElectionStep::Update { .. } = b.observe(record_of("a", "1"), now) {
                b.wrote(record_of("b", "2").unwrap(), now);
            }
            assert!(!(a.leads(now) && b.leads(now)), "both lead after {ms} ms");
        }
        assert!(b.leads(start + Duration::from_millis(19_750)) || b.renewed.is_some());
    }
}
