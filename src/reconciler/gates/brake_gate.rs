//! The gate of the brake: reports each object to the brake, holds moves, and keeps the brake consistent
//! with its record in the Lease.

use crate::engine::{Now, SteadyTime};
use crate::index::managed_object::ManagedObject;
use crate::index::store::Index;
use crate::kinds::ObjectRef;
use crate::reconciler::context::Subject;
use crate::reconciler::gates::brake::{
    Brake, BrakeDecision, BrakeRecord, Ledger, LedgerAnswer, TrafficPosition,
};
use crate::reconciler::hold::Hold;
use crate::reconciler::write::Write;
use crate::telemetry::Metrics;
use std::collections::BTreeSet;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Duration;

/// The brake, and the ledger in which its record outlives this replica.
pub(crate) struct BrakeGate {
    /// None where no share is set: then everything passes.
    brake: Option<Brake>,
    /// None without a brake.
    ledger: Option<Ledger>,
}

/// A move that the brake holds.
#[derive(Debug, PartialEq)]
pub(crate) struct Braked {
    pub hold: Hold,
    pub look_again: Duration,
}

impl BrakeGate {
    pub(crate) fn new(share: Option<u32>, ledger: Option<Ledger>) -> Self {
        Self { brake: share.map(Brake::new), ledger: ledger.filter(|_| share.is_some()) }
    }

    pub(crate) fn is_on(&self) -> bool {
        self.brake.is_some()
    }

    /// Passes a write that makes traffic leave its primary, or holds it.
    pub(crate) fn check(
        &mut self,
        subject: &Subject<'_>,
        write: &Write,
        namespace: &str,
    ) -> Result<(), Braked> {
        let (Some(brake), Some(flip)) = (&mut self.brake, write.flip()) else { return Ok(()) };
        let Subject { index, object, now, .. } = *subject;
        let endpoints = endpoints_of(index, object, flip.unasked());
        let (managed, released) = (index.objects().len(), index.cluster_wide.brake_released);
        match brake.request_move(object, &endpoints, managed, released, now) {
            BrakeDecision::Go => Ok(()),
            BrakeDecision::Hold(wait) => Err(Braked {
                hold: Hold::Braked { since: brake.engaged(), namespace: namespace.to_owned() },
                look_again: wait.try_into().unwrap_or_default(),
            }),
        }
    }

    /// Observes where the traffic of an object is that does not ask to leave its primary.
    pub(crate) fn observe(
        &mut self,
        index: &Index,
        object: &ObjectRef,
        position: TrafficPosition,
        now: Now,
    ) {
        let Some(brake) = &mut self.brake else { return };
        let primaries = || {
            let sets = index.object(object).map(ManagedObject::readable).unwrap_or_default();
            endpoints_of(index, object, sets.iter().flat_map(|set| set.intent.primaries()))
        };
        brake.observe(object, position, primaries, now);
    }

    /// A write begins that makes traffic leave its primary.
    pub(crate) fn begins(&mut self, object: &ObjectRef) {
        if let Some(brake) = &mut self.brake {
            brake.begin_move(object);
        }
    }

    /// Whether it is known what the other replicas hold, since a move is wanted: a standby has just read
    /// it, and a leader has begun with it. If not, the ledger is asked.
    pub(crate) fn knows_record(
        &mut self,
        subject: &Subject<'_>,
        wanted_since: Option<SteadyTime>,
    ) -> bool {
        let (Some(brake), Some(ledger)) = (&self.brake, &mut self.ledger) else { return true };
        let now = subject.now.steady;
        let since = wanted_since.unwrap_or(now);
        let knows = subject.leads && brake.has_read() || ledger.covers(since, now);
        if !knows {
            ledger.ask(subject.object, now);
        }
        knows
    }

    /// Observes the record in the Lease. Whether every object is to be reconciled again.
    pub(crate) fn take_in(&mut self, record: BrakeRecord, leads: bool, now: Now) -> bool {
        self.brake.as_mut().is_some_and(|brake| brake.take_in(record, leads, now))
    }

    /// The next answer about the Lease; none while nothing is asked.
    pub(crate) async fn next_answer(&mut self) -> Option<LedgerAnswer> {
        self.ledger.as_mut()?.next().await
    }

    /// What follows for the brake once everything that was due is decided, and what has to be written of
    /// it. `all`: nothing is queued any more.
    pub(crate) fn finish_round(
        &mut self,
        index: &Index,
        all: bool,
        leads: bool,
        now: Now,
        metrics: &Metrics,
    ) {
        let Some(brake) = &mut self.brake else { return };
        brake.observe_release(index.cluster_wide.brake_released, now);
        let hidden = |key: &ObjectRef| index.forbidden.has(key.namespace());
        let is_there = |key: &ObjectRef| index.object(key).is_some() || hidden(key);
        brake.forget_gone(index.objects().len(), is_there, now);
        if all && index.synced.has_all_objects() {
            brake.finish_round(index.objects().len(), leads, now);
        }
        if let (Some(ledger), Some(record)) = (&mut self.ledger, brake.unwritten_record(leads)) {
            ledger.write(record);
        }
        metrics.braked.set(i64::from(brake.engaged().is_some()));
        metrics.brake_held.set(brake.held() as i64);
    }
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
