//! Announced pods: the API server asks before it deletes them.

use crate::engine::SteadyTime;
use crate::kinds::pods::PodUid;
use jiff::SignedDuration;
use std::collections::{BTreeMap, HashMap};

/// How long an announcement is valid: longer than slices take to follow a pod that is deleted, also where
/// kube-controller-manager has to elect a leader first. Until then the fallback serves.
const VALID: SignedDuration = SignedDuration::from_secs(30);

/// After an early flip for a pod, its announcements are refused for so long: `kubectl drain` repeats them
/// every five seconds while a PodDisruptionBudget refuses.
const REFUSED_FOR: SignedDuration = SignedDuration::from_mins(10);

/// The most pods that are remembered: anybody who may delete pods adds to them.
const MOST: usize = 50_000;

/// What becomes of an announcement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AnnounceResult {
    /// The pod counts as gone from now on.
    Accepted,
    /// The pod has counted as gone since then.
    Repeated(SteadyTime),
    /// An early flip was made for the pod lately, and the pod was not deleted.
    TooSoon,
    /// Too many pods are announced.
    TooMany,
}

#[derive(Debug)]
struct AnnouncedPod {
    name: Box<str>,
    since: SteadyTime,
    until: SteadyTime,
    /// An early flip was made for it.
    flipped: bool,
}

/// Pods as an object records them, in their order: those that an early flip was made for, and until when
/// their announcements were valid.
pub(crate) type RecordedPods = Box<[(PodUid, SteadyTime)]>;

/// The recorded pods whose uid can be read.
pub(crate) fn read_recorded_pods(recorded: &BTreeMap<String, SteadyTime>) -> RecordedPods {
    recorded.iter().filter_map(|(uid, until)| Some((PodUid::parse(uid)?, *until))).collect()
}

/// The pods that are announced, or were lately.
#[derive(Debug, Default)]
pub(crate) struct AnnouncedPods {
    pods: HashMap<PodUid, AnnouncedPod>,
    /// Grows with each announcement.
    revision: u64,
}

/// The announced pods as they count at a time.
#[derive(Clone, Copy, Debug)]
pub(crate) struct AnnouncedNow<'a> {
    /// None of a linked cluster: pods there are not announced here.
    pub pods: Option<&'a AnnouncedPods>,
    pub now: SteadyTime,
}

impl AnnouncedNow<'_> {
    /// No pod is announced.
    pub(crate) const NONE: Self = Self { pods: None, now: SteadyTime::MIN };

    /// Until when the announcement of a pod is valid; none where it has none.
    pub(crate) fn until(&self, pod: PodUid) -> Option<SteadyTime> {
        self.pods?.until(pod, self.now)
    }

    /// A number that changes with each announcement.
    pub(crate) fn revision(&self) -> u64 {
        self.pods.map_or(0, |pods| pods.revision)
    }
}

impl AnnouncedPods {
    /// Adds a pod that is about to be deleted.
    pub(crate) fn announce(&mut self, uid: PodUid, name: &str, now: SteadyTime) -> AnnounceResult {
        match self.pods.get(&uid) {
            Some(pod) if pod.until > now => return AnnounceResult::Repeated(pod.since),
            Some(pod) if pod.counts(now) => return AnnounceResult::TooSoon,
            _ => {}
        }
        if self.pods.len() >= MOST {
            self.prune(now);
            if self.pods.len() >= MOST {
                return AnnounceResult::TooMany;
            }
        }
        let until = now.saturating_add(VALID);
        self.revision += 1;
        self.pods
            .insert(uid, AnnouncedPod { name: name.into(), since: now, until, flipped: false });
        AnnounceResult::Accepted
    }

    /// Adds the pods that an object records: an early flip was made for them.
    pub(crate) fn record(&mut self, recorded: &RecordedPods, now: SteadyTime) {
        for (pod, until) in recorded {
            // No clock is so far off, and no announcement is valid for longer.
            let until = (*until).min(now.saturating_add(VALID));
            let there = AnnouncedPod { name: "".into(), since: now, until, flipped: true };
            if there.counts(now) && self.pods.len() < MOST {
                self.revision += u64::from(!self.pods.contains_key(pod));
                self.pods.entry(*pod).or_insert(there).flipped = true;
            }
        }
    }

    /// Until when the announcement of a pod is valid; none where it has none.
    pub(crate) fn until(&self, pod: PodUid, now: SteadyTime) -> Option<SteadyTime> {
        self.pods.get(&pod).map(|there| there.until).filter(|until| *until > now)
    }

    /// The name of a pod, where its deletion was announced here.
    pub(crate) fn name(&self, pod: PodUid) -> Option<&str> {
        self.pods.get(&pod).map(|there| &*there.name).filter(|name| !name.is_empty())
    }

    /// Removes the pods whose announcements have no effect any more.
    pub(crate) fn prune(&mut self, now: SteadyTime) {
        self.pods.retain(|_, there| there.counts(now));
    }
}

impl AnnouncedPod {
    fn counts(&self, now: SteadyTime) -> bool {
        now < if self.flipped { self.until.saturating_add(REFUSED_FOR) } else { self.until }
    }
}

/// Whether the record of a pod that an early flip was made for still has an effect.
pub(crate) fn is_current(until: SteadyTime, now: SteadyTime) -> bool {
    now < until.saturating_add(REFUSED_FOR)
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
    fn an_announcement_is_valid_for_a_while_and_then_forgotten_without_an_early_flip() {
        let mut announced = AnnouncedPods::default();
        assert_eq!(announced.announce(pod(), "emoji-1", at(0)), AnnounceResult::Accepted);
        assert_eq!(announced.announce(pod(), "emoji-1", at(29)), AnnounceResult::Repeated(at(0)));
        assert_eq!(announced.until(pod(), at(29)), Some(at(30)));
        assert_eq!(announced.name(pod()), Some("emoji-1"));
        assert_eq!(announced.until(pod(), at(30)), None);
        assert_eq!(announced.announce(pod(), "emoji-1", at(30)), AnnounceResult::Accepted);
    }

    #[test]
    fn after_an_early_flip_for_a_pod_every_replica_refuses_its_announcements_for_ten_minutes() {
        let (mut here, mut there) = (AnnouncedPods::default(), AnnouncedPods::default());
        here.announce(pod(), "emoji-1", at(0));
        for announced in [&mut here, &mut there] {
            announced.record(&read_recorded_pods(&BTreeMap::from([(UID.into(), at(30))])), at(1));
            assert_eq!(announced.until(pod(), at(29)), Some(at(30)));
            assert_eq!(announced.announce(pod(), "emoji-1", at(35)), AnnounceResult::TooSoon);
            assert_eq!(announced.announce(pod(), "emoji-1", at(629)), AnnounceResult::TooSoon);
            assert_eq!(announced.announce(pod(), "emoji-1", at(630)), AnnounceResult::Accepted);
        }
    }

    #[test]
    fn what_is_past_or_cannot_be_read_is_forgotten_and_no_announcement_is_valid_for_ever() {
        let mut announced = AnnouncedPods::default();
        let never = BTreeMap::from([("a-pod".into(), at(9)), (UID.into(), SteadyTime::MAX)]);
        announced.record(&read_recorded_pods(&never), at(0));
        assert_eq!(announced.until(pod(), at(1)), Some(at(30)));
        announced.prune(at(700));
        assert!(announced.pods.is_empty());
        announced.record(&read_recorded_pods(&BTreeMap::from([(UID.into(), at(30))])), at(700));
        assert!(announced.pods.is_empty());
    }

    #[test]
    fn too_many_announcements_are_refused() {
        let mut announced = AnnouncedPods::default();
        for i in 0..MOST {
            let uid = format!("00000000-0000-0000-0000-{i:012x}");
            announced.announce(PodUid::parse(&uid).unwrap(), "", at(0));
        }
        assert_eq!(announced.announce(pod(), "", at(1)), AnnounceResult::TooMany);
        assert_eq!(announced.announce(pod(), "", at(31)), AnnounceResult::Accepted);
    }
}
