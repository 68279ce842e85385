//! The announced deletions that wait until traffic has moved, by object.

use crate::deletion_guard::{AnnouncementOutcome, DelayBounds};
use crate::kinds::ObjectRef;
use std::collections::{HashMap, HashSet};
use std::time::Instant;
use tokio::sync::oneshot;

/// Deletions of pods that wait until the traffic of every object that rests on the pod has moved.
#[derive(Debug, Default)]
pub(crate) struct PendingDeletions {
    last: u64,
    deletions: HashMap<u64, PendingDeletion>,
    by_object: HashMap<ObjectRef, Vec<u64>>,
    /// The objects whose traffic has moved a moment ago.
    moved: HashMap<ObjectRef, Moved>,
}

/// The traffic of an object has moved.
#[derive(Clone, Copy, Debug)]
struct Moved {
    at: Instant,
    outcome: AnnouncementOutcome,
}

impl Moved {
    fn is_followed(&self, delay: DelayBounds, now: Instant) -> bool {
        delay.has_followed(self.outcome, now.saturating_duration_since(self.at))
    }
}

#[derive(Debug)]
struct PendingDeletion {
    objects: HashSet<ObjectRef>,
    outcome: AnnouncementOutcome,
    reply: oneshot::Sender<AnnouncementOutcome>,
}

impl PendingDeletions {
    /// Adds a deletion that waits for these objects; `outcome` is the one where none of them moves.
    pub(crate) fn add(
        &mut self,
        objects: HashSet<ObjectRef>,
        outcome: AnnouncementOutcome,
        reply: oneshot::Sender<AnnouncementOutcome>,
    ) {
        self.last += 1;
        for object in &objects {
            self.by_object.entry(object.clone()).or_default().push(self.last);
        }
        self.deletions.insert(self.last, PendingDeletion { objects, outcome, reply });
    }

    /// Whether a deletion waits for an object.
    pub(crate) fn concerns(&self, object: &ObjectRef) -> bool {
        self.by_object.contains_key(object)
    }

    /// The objects that deletions wait for.
    pub(crate) fn objects(&self) -> impl Iterator<Item = &ObjectRef> {
        self.by_object.keys()
    }

    /// The outcome for a pod for which none of its objects has to move. Linkerd's proxies may not have followed
    /// a flip of a moment ago, and may still send to the pod.
    pub(crate) fn recent_outcome<'a>(
        &self,
        objects: impl Iterator<Item = &'a ObjectRef>,
        delay: DelayBounds,
        now: Instant,
    ) -> AnnouncementOutcome {
        let moved = objects.filter_map(|object| self.moved.get(object));
        let mut moved = moved.filter(|moved| !moved.is_followed(delay, now)).peekable();
        if moved.peek().is_none() {
            return AnnouncementOutcome::NoFlip;
        }
        let carried = AnnouncementOutcome::Flipped { by_adaptor: true };
        let by_adaptor = moved.any(|moved| moved.outcome == carried);
        AnnouncementOutcome::Flipped { by_adaptor }
    }

    /// Traffic of an object has moved, as far as the API server knows.
    pub(crate) fn flipped(&mut self, object: &ObjectRef, by_adaptor: bool, now: Instant) {
        let outcome = AnnouncementOutcome::Flipped { by_adaptor };
        self.moved.insert(object.clone(), Moved { at: now, outcome });
        for id in self.by_object.get(object).into_iter().flatten() {
            let Some(wait) = self.deletions.get_mut(id) else { continue };
            let before = matches!(wait.outcome, AnnouncementOutcome::Flipped { by_adaptor: true });
            wait.outcome = AnnouncementOutcome::Flipped { by_adaptor: by_adaptor || before };
        }
    }

    /// No deletion has to wait for an object any longer.
    pub(crate) fn release(&mut self, object: &ObjectRef) {
        for id in self.by_object.remove(object).unwrap_or_default() {
            let Some(wait) = self.deletions.get_mut(&id) else { continue };
            wait.objects.remove(object);
            if wait.objects.is_empty()
                && let Some(PendingDeletion { outcome, reply, .. }) = self.deletions.remove(&id)
            {
                // The request may have timed out.
                let _ = reply.send(outcome);
            }
        }
    }

    /// The same for the deletions for which its traffic did not have to move.
    pub(crate) fn release_unmoved(&mut self, object: &ObjectRef) {
        let Some(ids) = self.by_object.remove(object) else { return };
        let flipped = |id: &u64| {
            let wait = self.deletions.get(id);
            wait.is_some_and(|wait| matches!(wait.outcome, AnnouncementOutcome::Flipped { .. }))
        };
        let (stay, go): (Vec<u64>, Vec<u64>) = ids.into_iter().partition(flipped);
        if !go.is_empty() {
            self.by_object.insert(object.clone(), go);
            self.release(object);
        }
        if !stay.is_empty() {
            self.by_object.insert(object.clone(), stay);
        }
    }

    /// Answers every deletion: nothing is decided here now.
    pub(crate) fn release_all(&mut self) {
        for PendingDeletion { reply, .. } in std::mem::take(self).deletions.into_values() {
            let _ = reply.send(AnnouncementOutcome::NoDecision);
        }
    }

    /// Forgets deletions whose requests have timed out, and flips that Linkerd has followed.
    pub(crate) fn prune(&mut self, delay: DelayBounds, now: Instant) {
        self.moved.retain(|_, moved| !moved.is_followed(delay, now));
        self.deletions.retain(|_, wait| !wait.reply.is_closed());
        self.by_object.retain(|_, ids| {
            ids.retain(|id| self.deletions.contains_key(id));
            !ids.is_empty()
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kinds::{Kind, ObjectKey};
    use std::time::Duration;

    const fn ms(milliseconds: u64) -> Duration {
        Duration::from_millis(milliseconds)
    }

    const DELAY: DelayBounds =
        DelayBounds { bound: ms(500), adaptor_grace: ms(100), propagation: ms(30) };

    fn object(name: &str) -> ObjectRef {
        ObjectRef::new(Kind::TrafficSplit, ObjectKey::new("ns", name))
    }

    fn wait(
        pending: &mut PendingDeletions,
        names: &[&str],
    ) -> oneshot::Receiver<AnnouncementOutcome> {
        let (reply, outcome) = oneshot::channel();
        let objects = names.iter().map(|name| object(name)).collect();
        pending.add(objects, AnnouncementOutcome::NoFlip, reply);
        outcome
    }

    #[test]
    fn a_deletion_waits_for_every_object_that_rests_on_the_pod() {
        let mut pending = PendingDeletions::default();
        let (mut both, mut one) = (wait(&mut pending, &["a", "b"]), wait(&mut pending, &["a"]));
        pending.flipped(&object("a"), true, Instant::now());
        pending.release(&object("a"));
        assert_eq!(one.try_recv(), Ok(AnnouncementOutcome::Flipped { by_adaptor: true }));
        assert!(both.try_recv().is_err());
        pending.flipped(&object("b"), false, Instant::now());
        pending.release(&object("b"));
        assert_eq!(both.try_recv(), Ok(AnnouncementOutcome::Flipped { by_adaptor: true }));
        assert!(pending.deletions.is_empty() && pending.by_object.is_empty());
    }

    #[test]
    fn deletions_are_answered_where_nothing_moves_and_where_nobody_decides() {
        let mut pending = PendingDeletions::default();
        let mut still = wait(&mut pending, &["a"]);
        pending.release(&object("a"));
        assert_eq!(still.try_recv(), Ok(AnnouncementOutcome::NoFlip));
        let mut lost = wait(&mut pending, &["a", "b"]);
        pending.release_all();
        assert_eq!(lost.try_recv(), Ok(AnnouncementOutcome::NoDecision));
        assert!(!pending.concerns(&object("a")));
    }

    #[test]
    fn while_what_carries_the_weights_fails_only_those_wait_whom_it_concerns() {
        let mut pending = PendingDeletions::default();
        let mut moved = wait(&mut pending, &["a"]);
        pending.flipped(&object("a"), false, Instant::now());
        let mut unmoved = wait(&mut pending, &["a"]);
        pending.release_unmoved(&object("a"));
        assert_eq!(unmoved.try_recv(), Ok(AnnouncementOutcome::NoFlip));
        assert!(moved.try_recv().is_err());
        pending.release(&object("a"));
        assert_eq!(moved.try_recv(), Ok(AnnouncementOutcome::Flipped { by_adaptor: false }));
    }

    #[test]
    fn a_pod_that_goes_just_after_the_flip_waits_too_until_linkerd_can_have_followed() {
        let (mut pending, now) = (PendingDeletions::default(), Instant::now());
        pending.flipped(&object("route"), false, now);
        pending.flipped(&object("split"), true, now);
        let recent = |pending: &PendingDeletions, names: &[&str], later| {
            let objects: Vec<_> = names.iter().map(|name| object(name)).collect();
            pending.recent_outcome(objects.iter(), DELAY, now + later)
        };
        let flipped = |by_adaptor| AnnouncementOutcome::Flipped { by_adaptor };
        assert_eq!(recent(&pending, &["route"], ms(29)), flipped(false));
        assert_eq!(recent(&pending, &["route"], ms(30)), AnnouncementOutcome::NoFlip);
        assert_eq!(recent(&pending, &["route", "split"], ms(29)), flipped(true));
        assert_eq!(recent(&pending, &["split"], ms(99)), flipped(true));
        assert_eq!(recent(&pending, &["other"], ms(0)), AnnouncementOutcome::NoFlip);
        pending.prune(DELAY, now + ms(50));
        assert_eq!(pending.moved.len(), 1);
    }

    #[test]
    fn who_does_not_listen_any_more_is_forgotten() {
        let mut pending = PendingDeletions::default();
        let (gone, _listens) = (wait(&mut pending, &["a", "b"]), wait(&mut pending, &["b"]));
        drop(gone);
        pending.prune(DELAY, Instant::now());
        assert!(!pending.concerns(&object("a")) && pending.concerns(&object("b")));
        assert_eq!(pending.deletions.len(), 1);
    }
}
