//! Announced pods: the API server asks before it deletes them.

use crate::engine::SteadyTime;
use crate::index::pods::PodUid;
use jiff::SignedDuration;
use std::collections::{BTreeMap, HashMap};

/// How long an announcement is believed: longer than slices take to follow a pod that is deleted, also where
/// kube-controller-manager has to find a new leader first. Until then the fallback serves.
pub(crate) const BELIEVED: SignedDuration = SignedDuration::from_secs(30);

/// A pod that traffic was moved for is not believed again before this has passed: `kubectl drain`
/// asks every five seconds for as long as a PodDisruptionBudget refuses.
pub(crate) const ONCE_IN: SignedDuration = SignedDuration::from_mins(10);

/// More are not remembered: anybody who may delete pods fills this.
const MOST: usize = 50_000;

/// What an announcement is worth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Belief {
    /// It counts as gone from now on.
    Believed,
    /// It has done so since then.
    Known(SteadyTime),
    /// It has been believed lately, and was still there afterwards.
    NotAgain,
    /// Too many are about to go.
    TooMany,
}

#[derive(Debug)]
struct AnnouncedPod {
    name: Box<str>,
    since: SteadyTime,
    until: SteadyTime,
    /// Traffic was moved for it.
    moved: bool,
}

/// Pods as an object records them, in their order: those that its traffic was moved for, and until
/// when that was believed.
pub(crate) type Recorded = Box<[(PodUid, SteadyTime)]>;

/// Recorded pods whose uid can be read.
pub(crate) fn recorded_pods(leaving: &BTreeMap<String, SteadyTime>) -> Recorded {
    leaving.iter().filter_map(|(uid, until)| Some((PodUid::parse(uid)?, *until))).collect()
}

/// Pods that are, or lately were, about to be deleted.
#[derive(Debug, Default)]
pub(crate) struct AnnouncedPods {
    pods: HashMap<PodUid, AnnouncedPod>,
}

impl AnnouncedPods {
    /// Takes in that a pod is about to be deleted.
    pub(crate) fn announce(&mut self, pod: PodUid, name: &str, now: SteadyTime) -> Belief {
        match self.pods.get(&pod) {
            Some(there) if there.until > now => return Belief::Known(there.since),
            Some(there) if there.counts(now) => return Belief::NotAgain,
            _ => {}
        }
        if self.pods.len() >= MOST {
            self.prune(now);
            if self.pods.len() >= MOST {
                return Belief::TooMany;
            }
        }
        let until = now.saturating_add(BELIEVED);
        self.pods.insert(pod, AnnouncedPod { name: name.into(), since: now, until, moved: false });
        Belief::Believed
    }

    /// Takes in what an object says: traffic was moved for these.
    pub(crate) fn record(&mut self, recorded: &Recorded, now: SteadyTime) {
        for (pod, until) in recorded {
            // No clock is so far off, and no announcement is believed for longer.
            let until = (*until).min(now.saturating_add(BELIEVED));
            let there = AnnouncedPod { name: "".into(), since: now, until, moved: true };
            if there.counts(now) && self.pods.len() < MOST {
                self.pods.entry(*pod).or_insert(there).moved = true;
            }
        }
    }

    /// Until when it is believed that a pod is about to be deleted; none where it is not.
    pub(crate) fn until(&self, pod: PodUid, now: SteadyTime) -> Option<SteadyTime> {
        self.pods.get(&pod).map(|there| there.until).filter(|until| *until > now)
    }

    /// The name of a pod, where its deletion was announced here.
    pub(crate) fn name(&self, pod: PodUid) -> Option<&str> {
        self.pods.get(&pod).map(|there| &*there.name).filter(|name| !name.is_empty())
    }

    /// Forgets what is past.
    pub(crate) fn prune(&mut self, now: SteadyTime) {
        self.pods.retain(|_, there| there.counts(now));
    }
}

impl AnnouncedPod {
    fn counts(&self, now: SteadyTime) -> bool {
        now < if self.moved { self.until.saturating_add(ONCE_IN) } else { self.until }
    }
}

/// Whether a record of a pod that traffic was moved for still says anything.
pub(crate) fn is_kept(until: SteadyTime, now: SteadyTime) -> bool {
    now < until.saturating_add(ONCE_IN)
}

#[cfg(test)]
mod tests {
    use super::*;

    const UID: &str = "0123abcd-0000-0000-0000-000000000001";

    fn at(seconds: i64) -> SteadyTime {
        SteadyTime::at(seconds)
    }

    fn pod() -> PodUid {
        PodUid::parse(UID).unwrap()
    }

    #[test]
    fn a_word_is_believed_for_a_while_and_then_forgotten_where_nothing_was_moved_for_it() {
        let mut departures = AnnouncedPods::default();
        assert_eq!(departures.announce(pod(), "emoji-1", at(0)), Belief::Believed);
        assert_eq!(departures.announce(pod(), "emoji-1", at(29)), Belief::Known(at(0)));
        assert_eq!(departures.until(pod(), at(29)), Some(at(30)));
        assert_eq!(departures.name(pod()), Some("emoji-1"));
        assert_eq!(departures.until(pod(), at(30)), None);
        assert_eq!(departures.announce(pod(), "emoji-1", at(30)), Belief::Believed);
    }

    #[test]
    fn a_pod_that_traffic_was_moved_for_is_believed_once_in_ten_minutes_by_every_replica() {
        let (mut here, mut there) = (AnnouncedPods::default(), AnnouncedPods::default());
        here.announce(pod(), "emoji-1", at(0));
        for departures in [&mut here, &mut there] {
            departures.record(&recorded_pods(&BTreeMap::from([(UID.into(), at(30))])), at(1));
            assert_eq!(departures.until(pod(), at(29)), Some(at(30)));
            assert_eq!(departures.announce(pod(), "emoji-1", at(35)), Belief::NotAgain);
            assert_eq!(departures.announce(pod(), "emoji-1", at(629)), Belief::NotAgain);
            assert_eq!(departures.announce(pod(), "emoji-1", at(630)), Belief::Believed);
        }
    }

    #[test]
    fn what_is_past_or_cannot_be_read_is_forgotten_and_nothing_is_believed_for_ever() {
        let mut departures = AnnouncedPods::default();
        let never = BTreeMap::from([("a-pod".into(), at(9)), (UID.into(), SteadyTime::MAX)]);
        departures.record(&recorded_pods(&never), at(0));
        assert_eq!(departures.until(pod(), at(1)), Some(at(30)));
        departures.prune(at(700));
        assert!(departures.pods.is_empty());
        departures.record(&recorded_pods(&BTreeMap::from([(UID.into(), at(30))])), at(700));
        assert!(departures.pods.is_empty());
    }

    #[test]
    fn too_many_are_not_believed() {
        let mut departures = AnnouncedPods::default();
        for i in 0..MOST {
            let uid = format!("00000000-0000-0000-0000-{i:012x}");
            departures.announce(PodUid::parse(&uid).unwrap(), "", at(0));
        }
        assert_eq!(departures.announce(pod(), "", at(1)), Belief::TooMany);
        assert_eq!(departures.announce(pod(), "", at(31)), Belief::Believed);
    }
}
