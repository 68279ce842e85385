//! Announced losses, as they come in, and when who waits for a flip need wait no longer.

use super::queue::Queue;
use super::reconcile::Controller;
use crate::ahead::{Told, Verdict};
use crate::cluster::Word;
use crate::resources::{Kind, ObjectRef};
use std::collections::HashSet;
use std::time::Instant;
use tokio::sync::mpsc;

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
