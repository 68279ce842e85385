//! Announced losses, as they come in, and when who waits for a flip need wait no longer.

use crate::deletion_guard::{AnnouncementOutcome, PendingAnnouncement};
use crate::engine::Now;
use crate::index::announced_pods::Belief;
use crate::index::guarded_pods::GuardedPod;
use crate::index::store::Index;
use crate::kinds::{Kind as Of, ObjectRef};
use crate::reconciler::plan::{self, Moves, WriteKind};
use crate::reconciler::queue::Queue;
use crate::reconciler::reconcile::Controller;
use std::collections::{HashMap, HashSet};
use tokio::sync::{mpsc, oneshot};

/// A pod that is about to be deleted, and who wants to hear when it may be.
type Asked = (GuardedPod, oneshot::Sender<AnnouncementOutcome>);

impl Controller {
    /// Takes in an announcement, and all that came with it: what one decision can answer is decided
    /// once.
    pub(crate) fn announced(
        &self,
        queue: &mut Queue,
        first: PendingAnnouncement,
        others: &mut mpsc::Receiver<PendingAnnouncement>,
    ) {
        let mut batch = vec![first];
        while let Ok(told) = others.try_recv() {
            batch.push(told);
        }
        let asked = self.believed(self.concerned(batch));
        let (index, now) = (self.shared.read(), self.shared.now());
        let mut moves: HashMap<ObjectRef, bool> = HashMap::new();
        for (pod, reply) in &asked {
            // Who has gone away meanwhile is not waited for.
            for object in index.resting_on(pod).filter(|_| !reply.is_closed()) {
                if !moves.contains_key(object) {
                    let is_to_move = self.is_to_move(queue, &index, object, now);
                    moves.insert(object.clone(), is_to_move);
                }
            }
        }
        for object in moves.iter().filter(|(_, moves)| **moves).map(|(object, _)| object) {
            queue.notice_first(object.clone());
        }
        for (pod, reply) in asked {
            let waits_for = index.resting_on(&pod).filter(|o| moves.get(o) == Some(&true));
            let waits_for: HashSet<ObjectRef> = waits_for.cloned().collect();
            match waits_for.is_empty() {
                true => drop(reply.send(AnnouncementOutcome::NoFlip)),
                false => queue.waits.add(waits_for, reply),
            }
        }
    }

    /// Those that traffic rests on; the others are answered.
    fn concerned(&self, batch: Vec<PendingAnnouncement>) -> Vec<Asked> {
        let (index, now) = (self.shared.read(), self.shared.now());
        let judges = self.leads() && index.synced.all();
        let concerned =
            batch.into_iter().filter_map(|PendingAnnouncement { announcement, reply }| {
                let (namespace, name) = (&announcement.namespace, &announcement.name);
                let answer = if judges {
                    match index.guarded(namespace, name, announcement.uid(), now) {
                        Some(pod) => return Some((pod, reply)),
                        None => AnnouncementOutcome::Unconcerned,
                    }
                } else {
                    AnnouncementOutcome::NoJudge
                };
                let _ = reply.send(answer);
                None
            });
        concerned.collect()
    }

    /// Those that count as gone from now on; the others are answered.
    fn believed(&self, asked: Vec<Asked>) -> Vec<Asked> {
        let (mut believed, now) = (vec![], self.shared.now().steady);
        self.shared.update(|index| {
            for (pod, reply) in asked {
                let answer = match index.depart(&pod) {
                    Belief::Believed => None,
                    // The API server asks again where the pod has changed while it was held up: then
                    // it has been held up for long enough.
                    Belief::Known(since) => {
                        let long = since.duration_until(now) >= self.settings.hold_up;
                        long.then_some(AnnouncementOutcome::NoFlip)
                    }
                    Belief::NotAgain => Some(AnnouncementOutcome::NotBelieved),
                    Belief::TooMany => Some(AnnouncementOutcome::NoFlip),
                };
                match answer {
                    None => believed.push((pod, reply)),
                    Some(answer) => drop(reply.send(answer)),
                }
            }
            vec![]
        });
        believed
    }

    /// Whether an object's traffic moves now, or is just being moved.
    fn is_to_move(&self, queue: &Queue, index: &Index, object: &ObjectRef, now: Now) -> bool {
        if queue.in_flight.contains_key(object) || queue.profiles.is_writing(object) {
            return true;
        }
        let memory = queue.memories.get(object);
        let plan = plan::plan(index, object, memory, &self.me, Moves::All, now);
        let flips = |plan: plan::Plan| {
            let kind = plan.write.map(|write| write.kind);
            !plan.paused && matches!(kind, Some(WriteKind::Flip(_)))
        };
        !index.cluster_wide.frozen && plan.is_some_and(flips)
    }

    /// An object is as it should be, as far as it can be: who waits for it need not, unless what its
    /// traffic follows is still being written.
    pub(crate) fn settle(&self, queue: &mut Queue, index: &Index, object: &ObjectRef) {
        if !queue.waits.concern(object)
            || queue.in_flight.contains_key(object)
            || queue.profiles.is_writing(object)
        {
            return;
        }
        let carried = object.kind == Of::TrafficSplit && self.profiles.is_some();
        let unseen = carried && !index.synced.profiles;
        if unseen || queue.profiles.has_failed(object) {
            queue.waits.settle_unmoved(object);
        } else {
            queue.waits.settle(object);
        }
    }

    /// Whether somebody else has to carry the weights of an object to Linkerd.
    pub(crate) fn by_adaptor(&self, object: &ObjectRef) -> bool {
        object.kind == Of::TrafficSplit && self.profiles.is_none()
    }
}
