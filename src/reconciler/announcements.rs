//! Announced deletions of pods: which of them are believed, and which have to wait for a flip.

use crate::deletion_guard::{AnnouncementOutcome, PendingAnnouncement};
use crate::engine::Now;
use crate::index::announced_pods::AnnounceResult;
use crate::index::guarded_pods::GuardedPod;
use crate::index::store::Index;
use crate::kinds::ObjectRef;
use crate::reconciler::context::ReconcileRequest;
use crate::reconciler::ordered_queue::{Cause, Urgency};
use crate::reconciler::plan;
use crate::reconciler::state::Reconciler;
use std::collections::{HashMap, HashSet};
use std::time::Instant;
use tokio::sync::{mpsc, oneshot};

/// A pod that is about to be deleted, and where the answer goes.
type Announced = (GuardedPod, oneshot::Sender<AnnouncementOutcome>);

impl Reconciler {
    /// Admits an announcement, and all that are queued behind it: what one decision can answer is decided
    /// once.
    pub(crate) fn admit_announcements(
        &mut self,
        first: PendingAnnouncement,
        others: &mut mpsc::Receiver<PendingAnnouncement>,
    ) {
        let mut batch = vec![first];
        while let Ok(announcement) = others.try_recv() {
            batch.push(announcement);
        }
        let announced = self.accept(self.guarded(batch));
        let shared = self.context.shared.clone();
        let (index, now) = (shared.read(), shared.now());
        let mut moves: HashMap<ObjectRef, bool> = HashMap::new();
        for (pod, reply) in &announced {
            // A request that has timed out meanwhile is not waited for.
            for object in index.depending_on(pod).filter(|_| !reply.is_closed()) {
                if !moves.contains_key(object) {
                    let is_to_move = self.is_to_move(&index, object, now);
                    moves.insert(object.clone(), is_to_move);
                }
            }
        }
        for object in moves.iter().filter(|(_, moves)| **moves).map(|(object, _)| object) {
            self.enqueue(object.clone(), Cause::now(Urgency::Deletion));
        }
        let (delay, instant) = (self.context.settings.deletion_delay, Instant::now());
        for (pod, reply) in announced {
            let waits_for = index.depending_on(&pod).filter(|o| moves.get(o) == Some(&true));
            let waits_for: HashSet<ObjectRef> = waits_for.cloned().collect();
            let depending = index.depending_on(&pod);
            let recent = self.deletions.recent_outcome(depending, delay, instant);
            match waits_for.is_empty() {
                true => drop(reply.send(recent)),
                false => self.deletions.add(waits_for, recent, reply),
            }
        }
    }

    /// The announced pods that traffic rests on; the others are answered.
    fn guarded(&self, batch: Vec<PendingAnnouncement>) -> Vec<Announced> {
        let (index, now) = (self.context.shared.read(), self.context.shared.now());
        let decides = self.context.leads() && index.synced.all();
        let concerned =
            batch.into_iter().filter_map(|PendingAnnouncement { announcement, reply }| {
                let (namespace, name) = (&announcement.namespace, &announcement.name);
                let answer = if decides {
                    match index.guarded(namespace, name, announcement.uid(), now) {
                        Some(pod) => return Some((pod, reply)),
                        None => AnnouncementOutcome::Unconcerned,
                    }
                } else {
                    AnnouncementOutcome::NoDecision
                };
                let _ = reply.send(answer);
                None
            });
        concerned.collect()
    }

    /// The announced pods that count as gone from now on; the others are answered.
    fn accept(&self, announced: Vec<Announced>) -> Vec<Announced> {
        let (mut believed, now) = (vec![], self.context.shared.now().steady);
        self.context.shared.update(|index| {
            for (pod, reply) in announced {
                let answer = match index.announce_pod(&pod) {
                    AnnounceResult::Accepted => None,
                    // The API server asks again where the pod has changed while its deletion was
                    // delayed: then it has been delayed for long enough.
                    AnnounceResult::Repeated(since) => {
                        let delayed = since.duration_until(now).unsigned_abs();
                        let long = delayed >= self.context.settings.deletion_delay.bound;
                        long.then_some(AnnouncementOutcome::NoFlip)
                    }
                    AnnounceResult::TooSoon => Some(AnnouncementOutcome::NotBelieved),
                    AnnounceResult::TooMany => Some(AnnouncementOutcome::NoFlip),
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
    fn is_to_move(&self, index: &Index, object: &ObjectRef, now: Now) -> bool {
        let memory = self.memories.get(object);
        let subject = ReconcileRequest::by_leader(index, object, now).subject();
        let is_moved = self.writes.in_flight.contains(object) || self.profiles.is_writing(object);
        let is_due = |subject| plan::is_flip_due(&subject, memory);
        is_moved || !index.cluster_wide.frozen && subject.is_some_and(is_due)
    }
}
