//! Sets whose traffic is on their primaries and that have no ready fallback: an outage would hold them.

use crate::engine::{BySet, Decision, Health, Intent, Now};
use jiff::{SignedDuration, Timestamp};
use std::collections::{BTreeMap, BTreeSet};

/// A fallback that restarts is not reported.
const LASTS: SignedDuration = SignedDuration::from_secs(10);

/// The sets of an object without a ready fallback, as a replica observes them.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct NoFallback {
    /// Since when.
    seen: BySet<Now>,
    reported: BTreeSet<String>,
}

/// Sets by when they were seen to be without a ready fallback.
pub(crate) type DueSets = BTreeMap<Timestamp, Vec<String>>;

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

    /// Observes the sets without a ready fallback. Returns those that the leader has to report now, together
    /// where that began at one time, and when to look again.
    pub(crate) fn observe(
        &mut self,
        without: &BySet<String>,
        leads: bool,
        now: Now,
    ) -> (DueSets, Option<SignedDuration>) {
        self.seen.retain(|set, _| without.contains_key(set));
        self.reported.retain(|set| leads && without.contains_key(set));
        for set in without.keys() {
            self.seen.entry(set.clone()).or_insert(now);
        }
        let left = |since: &Now| LASTS - since.steady.duration_until(now.steady);
        let open = || self.seen.iter().filter(|(set, _)| leads && !self.reported.contains(*set));
        let mut due = DueSets::new();
        for (set, since) in open().filter(|(_, since)| !left(since).is_positive()) {
            due.entry(since.wall).or_default().push(set.clone());
        }
        let next = open().map(|(_, since)| left(since)).filter(SignedDuration::is_positive).min();
        self.reported.extend(due.values().flatten().cloned());
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
        let none = || (DueSets::new(), None);
        let reported = |since| (DueSets::from([(at(since).wall, vec![String::new()])]), None);
        assert_eq!(known.observe(&sets(&[""]), true, at(0)), (DueSets::new(), Some(LASTS)));
        assert_eq!(known.observe(&sets(&[]), true, at(9)), none(), "it was a restart");
        assert_eq!(known.observe(&sets(&[""]), true, at(10)), (DueSets::new(), Some(LASTS)));
        assert_eq!(known.observe(&sets(&[""]), true, at(20)), reported(10));
        assert_eq!(known.observe(&sets(&[""]), true, at(99)), none());
        assert_eq!(known.observe(&sets(&[]), true, at(100)), none());
        assert!(known.is_empty());
        known.observe(&sets(&[""]), true, at(101));
        assert_eq!(known.observe(&sets(&[""]), true, at(111)), reported(101));
    }

    #[test]
    fn a_standby_reports_it_once_it_leads_with_the_times_and_sets_of_the_leader_before() {
        let (mut leader, mut standby) = (NoFallback::default(), NoFallback::default());
        let (mut reported, mut kept) = (DueSets::new(), vec![]);
        for (second, without) in
            [(0, sets(&["0", "1"])), (10, sets(&["0", "1", "2"])), (20, sets(&["0", "1", "2"]))]
        {
            reported.extend(leader.observe(&without, true, at(second)).0);
            kept.push(standby.observe(&without, false, at(second)));
        }
        assert!(kept.iter().all(|kept| *kept == (DueSets::new(), None)));
        let all = sets(&["0", "1", "2"]);
        let (due, _) = standby.observe(&all, true, at(61));
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        assert_eq!(
            due,
            DueSets::from([(at(0).wall, names(&["0", "1"])), (at(10).wall, names(&["2"]))])
        );
        assert_eq!(due, reported);
        // One that leads no more, and leads again, cannot know what arrived meanwhile.
        standby.observe(&all, false, at(62));
        assert_eq!(standby.observe(&all, true, at(63)).0, reported);
    }
}
