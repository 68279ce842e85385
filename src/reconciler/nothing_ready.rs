//! Objects that have nothing ready: told once, by who leads, and once more when that ends.

use crate::engine::{BySet, Intent, Now, Readiness, SteadyTime, to_the_second};
use crate::index::managed_object::ManagedObject;
use crate::index::store::Index;
use crate::kinds::ObjectRef;
use crate::reconciler::notices::version;
use crate::reconciler::plan::Plan;
use crate::reconciler::queue::Queue;
use crate::reconciler::reconcile::Controller;
use crate::reconciler::reports;
use jiff::{SignedDuration, Timestamp};

/// A pod that restarts, and a Service that is made before its pods, are no news yet.
const LASTS: SignedDuration = SignedDuration::from_secs(1);

/// What a replica knows of the sets of an object that have nothing ready.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct NothingReady {
    seen: BySet<SteadyTime>,
    /// What people have been told, and since when by the wall clock, until the object records it.
    told: Option<BySet<Timestamp>>,
}

/// What is to be told now.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct NothingReadyChange {
    pub begins: Vec<String>,
    pub ends: Vec<String>,
    /// When to look again.
    pub next: Option<SignedDuration>,
}

impl NothingReady {
    /// What people have been told, where the object does not record that yet.
    pub(crate) fn told(&self) -> Option<&BySet<Timestamp>> {
        self.told.as_ref()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.seen.is_empty() && self.told.is_none()
    }

    /// Whether any set has nothing ready.
    pub(crate) fn lacks(&self) -> bool {
        !self.seen.is_empty()
    }

    /// Takes in what is so of the sets of an object that records this; who leads tells the news.
    pub(crate) fn observe(
        &mut self,
        readiness: &BySet<(Readiness, String)>,
        recorded: &BySet<Timestamp>,
        leads: bool,
        now: Now,
    ) -> NothingReadyChange {
        if !leads || self.told.as_ref() == Some(recorded) {
            self.told = None;
        }
        let is =
            |set: &String, what: Readiness| readiness.get(set).is_some_and(|(is, _)| *is == what);
        self.seen.retain(|set, _| is(set, Readiness::Nothing));
        for set in readiness.keys().filter(|set| is(set, Readiness::Nothing)) {
            if !self.seen.contains_key(set) {
                self.seen.insert(set.clone(), now.steady);
            }
        }
        let mut news = NothingReadyChange::default();
        if !leads {
            return news;
        }
        let mut told = self.told.as_ref().unwrap_or(recorded).clone();
        for (set, since) in self.seen.iter().filter(|(set, _)| !told.contains_key(*set)) {
            let left = LASTS - since.duration_until(now.steady);
            if left.is_positive() {
                news.next = news.next.map_or(Some(left), |next| Some(next.min(left)));
            } else {
                news.begins.push(set.clone());
            }
        }
        // A set that is gone has ended without a word; one that cannot be seen has not ended.
        news.ends = told.keys().filter(|set| is(set, Readiness::Ready)).cloned().collect();
        told.retain(|set, _| readiness.contains_key(set) && !news.ends.contains(set));
        told.extend(news.begins.iter().map(|set| (set.clone(), to_the_second(now.wall))));
        self.told = Some(told).filter(|told| told != recorded);
        news
    }
}

impl Controller {
    /// Tells people of an object that has nothing ready, once, and when that ends.
    pub(crate) fn mention_nothing_ready(
        &self,
        queue: &mut Queue,
        index: &Index,
        object: &ObjectRef,
        managed: &ManagedObject,
        plan: &Plan,
        now: Now,
    ) {
        let known = queue.memories.get(object).is_some_and(|m| !m.nothing_ready.is_empty());
        if plan.readiness.is_empty() && !known {
            return;
        }
        let memory = &mut queue.memories.entry(object).nothing_ready;
        let recorded = managed.nothing_ready();
        let was_told = memory.told.clone();
        let news = memory.observe(&plan.readiness, &recorded, self.leads(), now);
        // What people have been told is recorded with the next look.
        let to_record = memory.told.is_some() && memory.told != was_told;
        let lacks = memory.lacks();
        queue.memories.count_nothing_ready(object, lacks);
        if let Some(next) = news.next.or(to_record.then_some(SignedDuration::ZERO)) {
            queue.alarms.set(object, next.try_into().unwrap_or_default());
        }
        let intents: Vec<&Intent> = managed.readable().iter().map(|set| &set.intent).collect();
        if !news.begins.is_empty() {
            let why = each_set(&intents, &plan.readiness, &news.begins);
            tracing::warn!(%object, why, "nothing is ready");
            let note = format!("No backend is ready, so traffic stays where it is: {why}");
            self.say(reports::nothing_ready(object, version(index, object), managed, true, note));
        }
        if !news.ends.is_empty() {
            let why = each_set(&intents, &plan.readiness, &news.ends);
            tracing::info!(%object, why, "something is ready again");
            let note = format!("A backend is ready again: {why}");
            self.say(reports::nothing_ready(object, version(index, object), managed, false, note));
        }
    }
}

/// The health of the backends of these sets, for a person.
fn each_set(
    intents: &[&Intent],
    readiness: &BySet<(Readiness, String)>,
    sets: &[String],
) -> String {
    let why = |set: &String| readiness.get(set).map_or("", |(_, why)| why.as_str());
    // The rules of a route mostly have the same backends.
    if let [first, others @ ..] = sets
        && sets.len() == intents.len()
        && others.iter().all(|set| why(set) == why(first))
    {
        return why(first).to_owned();
    }
    let each: Vec<String> = sets
        .iter()
        .map(|set| match set.as_str() {
            "" => why(set).to_owned(),
            rule => format!("rule {rule}: {}", why(set)),
        })
        .collect();
    each.join("; ")
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
    fn it_is_told_once_it_lasts_and_not_again_and_once_when_it_ends() {
        let (mut known, none) = (NothingReady::default(), BySet::new());
        let lacks = sets(&[("", Nothing)]);
        let early = known.observe(&lacks, &none, true, at(0));
        assert_eq!(
            early,
            NothingReadyChange { next: Some(LASTS), ..NothingReadyChange::default() }
        );
        let told = known.observe(&lacks, &none, true, at(1_000));
        assert_eq!(told.begins, [""]);
        for millis in [1_001, 60_000] {
            assert_eq!(
                known.observe(&lacks, &none, true, at(millis)),
                NothingReadyChange::default()
            );
        }
        let record = known.told().unwrap().clone();
        assert_eq!(known.observe(&lacks, &record, true, at(61_000)), NothingReadyChange::default());
        assert_eq!(known.told(), None, "the object says it");
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
    fn a_flap_is_no_news_and_what_cannot_be_seen_has_not_ended() {
        let (mut known, none) = (NothingReady::default(), BySet::new());
        for second in 0..5 {
            let now = at(second * 1_000);
            known.observe(&sets(&[("", Nothing)]), &none, true, now);
            let news = known.observe(&none_of(), &none, true, at(second * 1_000 + 500));
            assert_eq!(news, NothingReadyChange::default());
        }
        let unknown = sets(&[("", Unknown)]);
        assert_eq!(
            known.observe(&unknown, &recorded(&[""]), true, at(9_000)),
            NothingReadyChange::default()
        );
        assert_eq!(known.told(), None);
    }

    #[test]
    fn rules_are_told_each_for_itself_and_one_that_is_gone_is_forgotten() {
        let mut known = NothingReady::default();
        let one = sets(&[("a", Nothing), ("b", Ready)]);
        let news = known.observe(&one, &recorded(&["b", "gone"]), true, at(0));
        assert_eq!((news.begins.len(), news.ends.as_slice()), (0, &["b".to_owned()][..]));
        let news = known.observe(&one, &BySet::new(), true, at(1_000));
        assert_eq!(news.begins, ["a"]);
        assert_eq!(known.told().unwrap().keys().collect::<Vec<_>>(), ["a"]);
    }
}
