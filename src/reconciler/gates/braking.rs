//! The brake in the loop: what it is told, whom it holds, and what stands of it in the Lease.

use crate::engine::SteadyTime;
use crate::engine::{Now, annotations};
use crate::index::store::Index;
use crate::kinds::ObjectRef;
use crate::leader_election::brake_record::BrakeRecord;
use crate::reconciler::gates::brake::{BrakeDecision, Ledger, LedgerAnswer, TrafficPosition};
use crate::reconciler::plan::{Flip, Plan, Write};
use crate::reconciler::queue::Queue;
use crate::reconciler::reconcile::Controller;
use std::collections::BTreeSet;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Instant;

impl Controller {
    /// Whether the brake lets an object leave its primary.
    pub(crate) fn brake_lets_go(
        &self,
        queue: &mut Queue,
        index: &Index,
        write: &Write,
        flip: &Flip,
        plan: &Plan,
        now: Now,
    ) -> bool {
        let Some(brake) = &mut queue.brake else { return true };
        let endpoints = endpoints_of(index, &write.object, flip.leaves.iter().map(String::as_str));
        let (managed, released) = (index.objects().len(), index.cluster_wide.brake_released);
        let BrakeDecision::Hold(wait) =
            brake.wants(&write.object, &endpoints, managed, released, now)
        else {
            return true;
        };
        queue.alarms.set(&write.object, wait.try_into().unwrap_or_default());
        let since = brake.engaged().map(|at| at.to_string()).unwrap_or_default();
        let why = format!(
            "the brake holds since {since}: too many objects would leave their primaries at once; if that is right, release it: kubectl annotate --overwrite namespace {} {}=$(date -u +%FT%TZ)",
            self.namespace,
            annotations::BRAKE_RELEASED
        );
        self.tell_held(queue, write, plan, &why);
        false
    }

    /// What is seen of an object that does not ask to leave its primary.
    pub(crate) fn tell_brake(
        &self,
        queue: &mut Queue,
        index: &Index,
        object: &ObjectRef,
        seen: TrafficPosition,
        now: Now,
    ) {
        let Some(brake) = &mut queue.brake else { return };
        let primaries = || {
            let sets = index.object(object).map(|managed| managed.readable()).unwrap_or_default();
            endpoints_of(index, object, sets.iter().flat_map(|set| set.intent.primaries()))
        };
        brake.see(object, seen, primaries, now);
    }

    /// Whether it is known what the other replicas hold: a standby has just read it, and one that
    /// leads has begun with it.
    pub(crate) fn knows_brake(
        &self,
        queue: &mut Queue,
        object: &ObjectRef,
        wanted: Option<SteadyTime>,
        now: Now,
    ) -> bool {
        let (Some(brake), Some(ledger)) = (&queue.brake, &mut queue.ledger) else { return true };
        let since = wanted.unwrap_or(now.steady);
        if self.leads() && brake.has_read() || ledger.covers(since, now.steady) {
            return true;
        }
        ledger.ask(object, now.steady);
        false
    }

    /// Whoever strives for the Lease has read it.
    pub(crate) fn read_brake_record(&mut self, queue: &mut Queue) {
        let record = self.brake_record.borrow_and_update().clone();
        // Where nobody strives for one, none is read.
        if let Some(record) = record {
            self.take_in_record(queue, record);
        }
    }

    pub(crate) fn brake_answered(&self, queue: &mut Queue, news: LedgerAnswer) {
        if let Some(record) = news.record {
            self.take_in_record(queue, record);
        }
        for (object, retry_in) in news.objects {
            match retry_in {
                None => queue.notice(object, Instant::now()),
                Some(wait) => queue.alarms.set(&object, wait),
            }
        }
    }

    fn take_in_record(&self, queue: &mut Queue, record: BrakeRecord) {
        let (leads, now) = (self.leads(), self.shared.now());
        let Some(brake) = &mut queue.brake else { return };
        if brake.take_in(record, leads, now) {
            let keys = self.shared.read().object_refs();
            queue.notice_all(keys);
        }
    }

    /// What is so of the brake once everything that waits has been decided, and what has to be
    /// written of it.
    pub(crate) fn tend_brake(&self, queue: &mut Queue, index: &Index, now: Now) {
        let Some(brake) = &mut queue.brake else { return };
        brake.hear(index.cluster_wide.brake_released, now);
        let hidden = |key: &ObjectRef| index.forbidden.has(key.namespace());
        let is_there = |key: &ObjectRef| index.object(key).is_some() || hidden(key);
        brake.forget_gone(index.objects().len(), is_there, now);
        let whole = index.synced.objects.iter().all(|whole| *whole);
        if whole && queue.waiting.is_empty() {
            brake.looked_at_all(index.objects().len(), self.leads(), now);
        }
        if let (Some(ledger), Some(record)) = (&mut queue.ledger, brake.to_write(self.leads())) {
            ledger.write(record);
        }
        self.metrics.braked.set(i64::from(brake.engaged().is_some()));
        self.metrics.brake_held.set(brake.held() as i64);
    }
}

/// The next answer about the Lease; none while nothing is asked.
pub(crate) async fn brake_news(ledger: &mut Option<Ledger>) -> Option<LedgerAnswer> {
    ledger.as_mut()?.next().await
}

/// What the primaries of an object share with those of others: their endpoints, and, where nobody
/// remembers these, the Services themselves.
fn endpoints_of<'a>(
    index: &Index,
    object: &ObjectRef,
    primaries: impl Iterator<Item = &'a str>,
) -> Vec<u64> {
    let mut shared = vec![];
    for name in primaries.collect::<BTreeSet<_>>() {
        let service = object.beside(name);
        shared.extend(index.endpoints_of(&service));
        let mut hasher = DefaultHasher::new();
        service.hash(&mut hasher);
        shared.push(hasher.finish());
    }
    shared
}
