//! Sets that have nothing ready: the leader reports them once, and once more when that ends.

use crate::engine::{BySet, Now, Readiness, SteadyTime, to_the_second};
use jiff::{SignedDuration, Timestamp};

/// A pod that restarts, and a Service that is made before its pods, are not reported yet.
const LASTS: SignedDuration = SignedDuration::from_secs(1);

/// The sets of an object that have nothing ready, as a replica observes them.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct NothingReady {
    /// Since when, by the steady clock.
    seen: BySet<SteadyTime>,
    /// What was reported, and since when by the wall clock, until the object records it.
    reported: Option<BySet<Timestamp>>,
}

/// What is to be reported now.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct NothingReadyChange {
    pub begins: Vec<String>,
    pub ends: Vec<String>,
    /// When to look again.
    pub next: Option<SignedDuration>,
}

impl NothingReady {
    /// What was reported, where the object does not record that yet.
    pub(crate) fn reported(&self) -> Option<&BySet<Timestamp>> {
        self.reported.as_ref()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.seen.is_empty() && self.reported.is_none()
    }

    /// Whether any set has nothing ready.
    pub(crate) fn lacks(&self) -> bool {
        !self.seen.is_empty()
    }

    /// Observes the readiness of the sets of an object, beside what it records; only the leader reports.
    pub(crate) fn observe(
        &mut self,
        readiness: &BySet<(Readiness, String)>,
        recorded: &BySet<Timestamp>,
        leads: bool,
        now: Now,
    ) -> NothingReadyChange {
        if !leads || self.reported.as_ref() == Some(recorded) {
            self.reported = None;
        }
        let is =
            |set: &String, what: Readiness| readiness.get(set).is_some_and(|(is, _)| *is == what);
        self.seen.retain(|set, _| is(set, Readiness::Nothing));
        for set in readiness.keys().filter(|set| is(set, Readiness::Nothing)) {
            if !self.seen.contains_key(set) {
                self.seen.insert(set.clone(), now.steady);
            }
        }
        let mut change = NothingReadyChange::default();
        if !leads {
            return change;
        }
        let mut reported = self.reported.as_ref().unwrap_or(recorded).clone();
        for (set, since) in self.seen.iter().filter(|(set, _)| !reported.contains_key(*set)) {
            let left = LASTS - since.duration_until(now.steady);
            if left.is_positive() {
                change.next = change.next.map_or(Some(left), |next| Some(next.min(left)));
            } else {
                change.begins.push(set.clone());
            }
        }
        // A set that is gone ends without a report; one that cannot be seen has not ended.
        change.ends = reported.keys().filter(|set| is(set, Readiness::Ready)).cloned().collect();
        reported.retain(|set, _| readiness.contains_key(set) && !change.ends.contains(set));
        reported.extend(change.begins.iter().map(|set| (set.clone(), to_the_second(now.wall))));
        self.reported = Some(reported).filter(|reported| reported != recorded);
        change
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: i64) -> Now {
        Now::at(Timestamp::from_millisecond(1_000_000 + millis).unwrap())
    }

    fn sets(sets: &[(&str, Readiness)]) -> BySet<(Readiness, String)> {
        let set = |(name, is): &(&str, Readiness)| ((*name).to_owned(), (*is, "why".to_owned()));
        sets.iter().map(set).collect()
    }

    fn recorded(sets: &[&str]) -> BySet<Timestamp> {
        sets.iter().map(|set| ((*set).to_owned(), at(0).wall)).collect()
    }

    use Readiness::{Nothing, Ready, Unknown};

    #[test]
    fn it_is_reported_once_it_lasts_and_not_again_and_once_when_it_ends() {
        let (mut known, none) = (NothingReady::default(), BySet::new());
        let lacks = sets(&[("", Nothing)]);
        let early = known.observe(&lacks, &none, true, at(0));
        assert_eq!(
            early,
            NothingReadyChange { next: Some(LASTS), ..NothingReadyChange::default() }
        );
        let reported = known.observe(&lacks, &none, true, at(1_000));
        assert_eq!(reported.begins, [""]);
        for millis in [1_001, 60_000] {
            assert_eq!(
                known.observe(&lacks, &none, true, at(millis)),
                NothingReadyChange::default()
            );
        }
        let record = known.reported().unwrap().clone();
        assert_eq!(known.observe(&lacks, &record, true, at(61_000)), NothingReadyChange::default());
        assert_eq!(known.reported(), None, "the object records it");
        let ends = known.observe(&sets(&[("", Ready)]), &record, true, at(70_000));
        assert_eq!(ends.ends, [""]);
        // The record follows a moment later.
        let after = known.observe(&sets(&[("", Ready)]), &record, true, at(70_001));
        assert_eq!(after, NothingReadyChange::default());
        assert_eq!(
            known.observe(&none_of(), &none, true, at(71_000)),
            NothingReadyChange::default()
        );
        assert!(known.is_empty());
    }

    fn none_of() -> BySet<(Readiness, String)> {
        BySet::new()
    }

    #[test]
    fn a_new_leader_goes_by_the_record() {
        let mut known = NothingReady::default();
        let lacks = sets(&[("", Nothing)]);
        assert_eq!(
            known.observe(&lacks, &recorded(&[""]), false, at(0)),
            NothingReadyChange::default()
        );
        assert_eq!(
            known.observe(&lacks, &recorded(&[""]), true, at(9_000)),
            NothingReadyChange::default()
        );
        let mut unrecorded = NothingReady::default();
        assert_eq!(
            unrecorded.observe(&lacks, &BySet::new(), false, at(0)),
            NothingReadyChange::default()
        );
        assert_eq!(unrecorded.observe(&lacks, &BySet::new(), true, at(9_000)).begins, [""]);
        let mut ended = NothingReady::default();
        let ready = sets(&[("", Ready)]);
        assert_eq!(ended.observe(&ready, &recorded(&[""]), true, at(0)).ends, [""]);
    }

    #[test]
    fn a_flap_is_not_reported_and_what_cannot_be_seen_has_not_ended() {
        let (mut known, none) = (NothingReady::default(), BySet::new());
        for second in 0..5 {
            let now = at(second * 1_000);
            known.observe(&sets(&[("", Nothing)]), &none, true, now);
            let change = known.observe(&none_of(), &none, true, at(second * 1_000 + 500));
            assert_eq!(change, NothingReadyChange::default());
        }
        let unknown = sets(&[("", Unknown)]);
        assert_eq!(
            known.observe(&unknown, &recorded(&[""]), true, at(9_000)),
            NothingReadyChange::default()
        );
        assert_eq!(known.reported(), None);
    }

    #[test]
    fn rules_are_reported_each_for_itself_and_one_that_is_gone_is_forgotten() {
        let mut known = NothingReady::default();
        let one = sets(&[("a", Nothing), ("b", Ready)]);
        let change = known.observe(&one, &recorded(&["b", "gone"]), true, at(0));
        assert_eq!((change.begins.len(), change.ends.as_slice()), (0, &["b".to_owned()][..]));
        let change = known.observe(&one, &BySet::new(), true, at(1_000));
        assert_eq!(change.begins, ["a"]);
        assert_eq!(known.reported().unwrap().keys().collect::<Vec<_>>(), ["a"]);
    }
}
