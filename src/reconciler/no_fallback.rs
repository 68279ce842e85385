//! Sets whose traffic is on their primaries and that have no ready fallback: an outage would hold them.

use crate::engine::{BySet, Decision, Health, Intent, Now, SteadyTime};
use jiff::SignedDuration;
use std::collections::BTreeSet;

/// A fallback that restarts is not reported.
const LASTS: SignedDuration = SignedDuration::from_secs(10);

/// The sets of an object without a ready fallback, as a replica observes them.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct NoFallback {
    /// Since when, by the steady clock.
    seen: BySet<SteadyTime>,
    reported: BTreeSet<String>,
}

/// The health of the fallbacks of a set on its primaries, where none of them is ready. What cannot be seen
/// may be ready.
pub(crate) fn of_set(intent: &Intent, health: &[Health], decision: &Decision) -> Option<String> {
    if !decision.on_primary(intent) {
        return None;
    }
    let fallbacks = intent.indices_of_all().filter(|i| !intent.is_primary(*i));
    let mut fallbacks = fallbacks.filter_map(|i| Some((i, i.of(health)?))).peekable();
    fallbacks.peek()?;
    let mut each = vec![];
    for (i, health) in fallbacks {
        if health.is_partly_ready() || health.is_unknown() {
            return None;
        }
        each.push(format!("{}: {health}", intent.backends[i].name));
    }
    Some(each.join(", "))
}

impl NoFallback {
    /// Whether there is nothing to be remembered.
    pub(crate) fn is_empty(&self) -> bool {
        self.seen.is_empty()
    }

    /// Observes the sets without a ready fallback. Returns those that the leader has to report now, and when
    /// to look again.
    pub(crate) fn observe(
        &mut self,
        without: &BySet<String>,
        leads: bool,
        now: Now,
    ) -> (Vec<String>, Option<SignedDuration>) {
        self.seen.retain(|set, _| without.contains_key(set));
        self.reported.retain(|set| leads && without.contains_key(set));
        for set in without.keys() {
            self.seen.entry(set.clone()).or_insert(now.steady);
        }
        let left = |since: &SteadyTime| LASTS - since.duration_until(now.steady);
        let open = || self.seen.iter().filter(|(set, _)| leads && !self.reported.contains(*set));
        let due: Vec<String> = open()
            .filter(|(_, since)| !left(since).is_positive())
            .map(|(set, _)| set.clone())
            .collect();
        let next = open().map(|(_, since)| left(since)).filter(SignedDuration::is_positive).min();
        self.reported.extend(due.iter().cloned());
        (due, next)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::Timestamp;

    fn at(seconds: i64) -> Now {
        Now::at(Timestamp::from_second(1_000_000 + seconds).unwrap())
    }

    fn sets(sets: &[&str]) -> BySet<String> {
        sets.iter().map(|set| ((*set).to_owned(), "why".to_owned())).collect()
    }

    #[test]
    fn it_is_reported_once_it_lasts_and_again_only_after_it_has_ended() {
        let mut known = NoFallback::default();
        let none = || (vec![], None);
        let reported = |set: &str| (vec![set.to_owned()], None);
        assert_eq!(known.observe(&sets(&[""]), true, at(0)), (vec![], Some(LASTS)));
        assert_eq!(known.observe(&sets(&[]), true, at(9)), none(), "it was a restart");
        assert_eq!(known.observe(&sets(&[""]), true, at(10)), (vec![], Some(LASTS)));
        assert_eq!(known.observe(&sets(&[""]), true, at(20)), reported(""));
        assert_eq!(known.observe(&sets(&[""]), true, at(99)), none());
        assert_eq!(known.observe(&sets(&[]), true, at(100)), none());
        assert!(known.is_empty());
        known.observe(&sets(&[""]), true, at(101));
        assert_eq!(known.observe(&sets(&[""]), true, at(111)), reported(""));
    }

    #[test]
    fn a_standby_reports_it_once_it_leads() {
        let mut known = NoFallback::default();
        for second in [0, 60] {
            assert_eq!(known.observe(&sets(&["0", "1"]), false, at(second)), (vec![], None));
        }
        let (due, _) = known.observe(&sets(&["0", "1"]), true, at(61));
        assert_eq!(due, ["0", "1"]);
    }
}
