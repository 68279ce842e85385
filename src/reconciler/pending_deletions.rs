//! Which deletions wait for which objects.

use crate::deletion_guard::AnnouncementOutcome;
use crate::kinds::ObjectRef;
use std::collections::{HashMap, HashSet};
use tokio::sync::oneshot;

/// Those who wait until the objects that rest on a pod are where they should be without it.
#[derive(Debug, Default)]
pub(crate) struct PendingDeletions {
    last: u64,
    waits: HashMap<u64, PendingDeletion>,
    by_object: HashMap<ObjectRef, Vec<u64>>,
}

#[derive(Debug)]
struct PendingDeletion {
    objects: HashSet<ObjectRef>,
    verdict: AnnouncementOutcome,
    reply: oneshot::Sender<AnnouncementOutcome>,
}

impl PendingDeletions {
    /// Somebody waits for these objects.
    pub(crate) fn add(
        &mut self,
        objects: HashSet<ObjectRef>,
        reply: oneshot::Sender<AnnouncementOutcome>,
    ) {
        self.last += 1;
        for object in &objects {
            self.by_object.entry(object.clone()).or_default().push(self.last);
        }
        self.waits.insert(
            self.last,
            PendingDeletion { objects, verdict: AnnouncementOutcome::NoFlip, reply },
        );
    }

    /// Whether anybody waits for an object.
    pub(crate) fn concern(&self, object: &ObjectRef) -> bool {
        self.by_object.contains_key(object)
    }

    /// The objects that anybody waits for.
    pub(crate) fn objects(&self) -> impl Iterator<Item = &ObjectRef> {
        self.by_object.keys()
    }

    /// Traffic of an object has moved, as far as the API server knows.
    pub(crate) fn flipped(&mut self, object: &ObjectRef, by_adaptor: bool) {
        for id in self.by_object.get(object).into_iter().flatten() {
            let Some(wait) = self.waits.get_mut(id) else { continue };
            let before = matches!(wait.verdict, AnnouncementOutcome::Flipped { by_adaptor: true });
            wait.verdict = AnnouncementOutcome::Flipped { by_adaptor: by_adaptor || before };
        }
    }

    /// Nothing of an object is to be waited for any more.
    pub(crate) fn settle(&mut self, object: &ObjectRef) {
        for id in self.by_object.remove(object).unwrap_or_default() {
            let Some(wait) = self.waits.get_mut(&id) else { continue };
            wait.objects.remove(object);
            if wait.objects.is_empty()
                && let Some(PendingDeletion { verdict, reply, .. }) = self.waits.remove(&id)
            {
                // Who has waited long enough does not listen any more.
                let _ = reply.send(verdict);
            }
        }
    }

    /// The same for those who have nothing of its to wait for: its traffic had not to move for them.
    pub(crate) fn settle_unmoved(&mut self, object: &ObjectRef) {
        let Some(ids) = self.by_object.remove(object) else { return };
        let flipped = |id: &u64| {
            let wait = self.waits.get(id);
            wait.is_some_and(|wait| matches!(wait.verdict, AnnouncementOutcome::Flipped { .. }))
        };
        let (stay, go): (Vec<u64>, Vec<u64>) = ids.into_iter().partition(flipped);
        if !go.is_empty() {
            self.by_object.insert(object.clone(), go);
            self.settle(object);
        }
        if !stay.is_empty() {
            self.by_object.insert(object.clone(), stay);
        }
    }

    /// Lets everybody go: nothing is decided here now.
    pub(crate) fn give_up(&mut self) {
        for PendingDeletion { reply, .. } in std::mem::take(self).waits.into_values() {
            let _ = reply.send(AnnouncementOutcome::NoJudge);
        }
    }

    /// Forgets those who do not listen any more.
    pub(crate) fn prune(&mut self) {
        self.waits.retain(|_, wait| !wait.reply.is_closed());
        self.by_object.retain(|_, ids| {
            ids.retain(|id| self.waits.contains_key(id));
            !ids.is_empty()
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kinds::{Kind, ObjectKey};

    fn object(name: &str) -> ObjectRef {
        ObjectRef::new(Kind::TrafficSplit, ObjectKey::new("ns", name))
    }

    fn wait(
        waits: &mut PendingDeletions,
        names: &[&str],
    ) -> oneshot::Receiver<AnnouncementOutcome> {
        let (reply, verdict) = oneshot::channel();
        waits.add(names.iter().map(|name| object(name)).collect(), reply);
        verdict
    }

    #[test]
    fn a_deletion_waits_for_every_object_that_rests_on_the_pod() {
        let mut waits = PendingDeletions::default();
        let (mut both, mut one) = (wait(&mut waits, &["a", "b"]), wait(&mut waits, &["a"]));
        waits.flipped(&object("a"), true);
        waits.settle(&object("a"));
        assert_eq!(one.try_recv(), Ok(AnnouncementOutcome::Flipped { by_adaptor: true }));
        assert!(both.try_recv().is_err());
        waits.flipped(&object("b"), false);
        waits.settle(&object("b"));
        assert_eq!(both.try_recv(), Ok(AnnouncementOutcome::Flipped { by_adaptor: true }));
        assert!(waits.waits.is_empty() && waits.by_object.is_empty());
    }

    #[test]
    fn where_nothing_moves_it_is_said_so_and_where_nobody_decides_too() {
        let mut waits = PendingDeletions::default();
        let mut still = wait(&mut waits, &["a"]);
        waits.settle(&object("a"));
        assert_eq!(still.try_recv(), Ok(AnnouncementOutcome::NoFlip));
        let mut lost = wait(&mut waits, &["a", "b"]);
        waits.give_up();
        assert_eq!(lost.try_recv(), Ok(AnnouncementOutcome::NoJudge));
        assert!(!waits.concern(&object("a")));
    }

    #[test]
    fn while_what_carries_the_weights_fails_only_those_wait_whom_it_concerns() {
        let mut waits = PendingDeletions::default();
        let mut moved = wait(&mut waits, &["a"]);
        waits.flipped(&object("a"), false);
        let mut unmoved = wait(&mut waits, &["a"]);
        waits.settle_unmoved(&object("a"));
        assert_eq!(unmoved.try_recv(), Ok(AnnouncementOutcome::NoFlip));
        assert!(moved.try_recv().is_err());
        waits.settle(&object("a"));
        assert_eq!(moved.try_recv(), Ok(AnnouncementOutcome::Flipped { by_adaptor: false }));
    }

    #[test]
    fn who_does_not_listen_any_more_is_forgotten() {
        let mut waits = PendingDeletions::default();
        let (gone, _listens) = (wait(&mut waits, &["a", "b"]), wait(&mut waits, &["b"]));
        drop(gone);
        waits.prune();
        assert!(!waits.concern(&object("a")) && waits.concern(&object("b")));
        assert_eq!(waits.waits.len(), 1);
    }
}
