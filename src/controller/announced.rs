//! Announced losses: which deletions wait for which objects.

use super::queue::Queue;
use super::reconcile::Controller;
use crate::ahead::{Told, Verdict};
use crate::cluster::Word;
use crate::resources::{Kind, ObjectRef};
use std::collections::{HashMap, HashSet};
use std::time::Instant;
use tokio::sync::{mpsc, oneshot};

/// Those who wait until the objects that rest on a pod are where they should be without it.
#[derive(Debug, Default)]
pub struct Waits {
    last: u64,
    waits: HashMap<u64, Wait>,
    by_object: HashMap<ObjectRef, Vec<u64>>,
}

#[derive(Debug)]
struct Wait {
    objects: HashSet<ObjectRef>,
    verdict: Verdict,
    reply: oneshot::Sender<Verdict>,
}

impl Waits {
    /// Somebody waits for these objects.
    pub fn add(&mut self, objects: HashSet<ObjectRef>, reply: oneshot::Sender<Verdict>) {
        self.last += 1;
        for object in &objects {
            self.by_object.entry(object.clone()).or_default().push(self.last);
        }
        self.waits.insert(self.last, Wait { objects, verdict: Verdict::NoFlip, reply });
    }

    /// Whether anybody waits for an object.
    pub fn concern(&self, object: &ObjectRef) -> bool {
        self.by_object.contains_key(object)
    }

    /// Traffic of an object has moved, as far as the API server knows.
    pub fn flipped(&mut self, object: &ObjectRef, by_adaptor: bool) {
        for id in self.by_object.get(object).into_iter().flatten() {
            let Some(wait) = self.waits.get_mut(id) else { continue };
            let before = matches!(wait.verdict, Verdict::Flipped { by_adaptor: true });
            wait.verdict = Verdict::Flipped { by_adaptor: by_adaptor || before };
        }
    }

    /// Nothing of an object is to be waited for any more.
    pub fn settle(&mut self, object: &ObjectRef) {
        for id in self.by_object.remove(object).unwrap_or_default() {
            let Some(wait) = self.waits.get_mut(&id) else { continue };
            wait.objects.remove(object);
            if wait.objects.is_empty()
                && let Some(Wait { verdict, reply, .. }) = self.waits.remove(&id)
            {
                // Who has waited long enough does not listen any more.
                let _ = reply.send(verdict);
            }
        }
    }

    /// Lets everybody go: nothing is decided here now.
    pub fn give_up(&mut self) {
        for Wait { reply, .. } in std::mem::take(self).waits.into_values() {
            let _ = reply.send(Verdict::NoJudge);
        }
    }

    /// Forgets those who do not listen any more.
    pub fn prune(&mut self) {
        self.waits.retain(|_, wait| !wait.reply.is_closed());
        self.by_object.retain(|_, ids| {
            ids.retain(|id| self.waits.contains_key(id));
            !ids.is_empty()
        });
    }
}

impl Controller {
    /// Takes in an announcement, and all that came with it: what one decision can answer is decided
    /// once.
    pub(super) fn announced(
        &self,
        queue: &mut Queue,
        first: Told,
        others: &mut mpsc::Receiver<Told>,
    ) {
        let mut next = Some(first);
        while let Some(told) = next {
            self.take_in(queue, told);
            next = others.try_recv().ok();
        }
    }

    fn take_in(&self, queue: &mut Queue, told: Told) {
        let Told { announcement, reply } = told;
        let verdict = {
            let (index, now) = (self.shared.read(), self.shared.now());
            let pod = || {
                let (namespace, name) = (&announcement.namespace, &announcement.name);
                index.guarded(namespace, name, announcement.uid(), now)
            };
            if !self.leads() || !index.synced.all() {
                Err(Verdict::NoJudge)
            } else {
                pod().ok_or(Verdict::Unconcerned).map(|pod| {
                    let objects: HashSet<ObjectRef> = index.resting_on(&pod).cloned().collect();
                    (pod, objects)
                })
            }
        };
        let verdict = verdict.and_then(|(pod, objects)| {
            let mut word = Word::TooMany;
            self.shared.update(|index| {
                word = index.depart(&pod);
                vec![]
            });
            let now = self.shared.now().steady;
            match word {
                Word::Believed => Ok(objects),
                // The API server asks again where the pod has changed while it was held up: then it
                // has been held up for long enough.
                Word::Known(since) if since.duration_until(now) < self.settings.hold_up => {
                    Ok(objects)
                }
                Word::Known(_) => Err(Verdict::NoFlip),
                Word::NotAgain => Err(Verdict::NotBelieved),
                Word::TooMany => Err(Verdict::NoFlip),
            }
        });
        match verdict {
            Ok(objects) => {
                queue.waits.add(objects.clone(), reply);
                for object in objects {
                    queue.notice(object, Instant::now());
                }
            }
            Err(verdict) => {
                let _ = reply.send(verdict);
            }
        }
    }

    /// An object is as it should be, as far as it can be: who waits for it need not, unless what its
    /// traffic follows is still being written.
    pub(super) fn settle(&self, queue: &mut Queue, object: &ObjectRef) {
        let under_way = queue.in_flight.contains_key(object)
            || queue.queued.contains(object)
            || queue.profiles.is_under_way(object);
        if !under_way && queue.waits.concern(object) {
            queue.waits.settle(object);
        }
    }

    /// Whether somebody else has to carry the weights of an object to Linkerd.
    pub(super) fn by_adaptor(&self, object: &ObjectRef) -> bool {
        object.kind == Kind::TrafficSplit && self.profiles.is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resources::ObjectKey;

    fn object(name: &str) -> ObjectRef {
        ObjectRef::new(Kind::TrafficSplit, ObjectKey::new("ns", name))
    }

    fn wait(waits: &mut Waits, names: &[&str]) -> oneshot::Receiver<Verdict> {
        let (reply, verdict) = oneshot::channel();
        waits.add(names.iter().map(|name| object(name)).collect(), reply);
        verdict
    }

    #[test]
    fn a_deletion_waits_for_every_object_that_rests_on_the_pod() {
        let mut waits = Waits::default();
        let (mut both, mut one) = (wait(&mut waits, &["a", "b"]), wait(&mut waits, &["a"]));
        waits.flipped(&object("a"), true);
        waits.settle(&object("a"));
        assert_eq!(one.try_recv(), Ok(Verdict::Flipped { by_adaptor: true }));
        assert!(both.try_recv().is_err());
        waits.flipped(&object("b"), false);
        waits.settle(&object("b"));
        assert_eq!(both.try_recv(), Ok(Verdict::Flipped { by_adaptor: true }));
        assert!(waits.waits.is_empty() && waits.by_object.is_empty());
    }

    #[test]
    fn where_nothing_moves_it_is_said_so_and_where_nobody_decides_too() {
        let mut waits = Waits::default();
        let mut still = wait(&mut waits, &["a"]);
        waits.settle(&object("a"));
        assert_eq!(still.try_recv(), Ok(Verdict::NoFlip));
        let mut lost = wait(&mut waits, &["a", "b"]);
        waits.give_up();
        assert_eq!(lost.try_recv(), Ok(Verdict::NoJudge));
        assert!(!waits.concern(&object("a")));
    }

    #[test]
    fn who_does_not_listen_any_more_is_forgotten() {
        let mut waits = Waits::default();
        let (gone, _listens) = (wait(&mut waits, &["a", "b"]), wait(&mut waits, &["b"]));
        drop(gone);
        waits.prune();
        assert!(!waits.concern(&object("a")) && waits.concern(&object("b")));
        assert_eq!(waits.waits.len(), 1);
    }
}
