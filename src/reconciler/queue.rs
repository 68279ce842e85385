//! The queue: what is to be decided, and what is under way; one write at once per object.

use crate::index::order::Ticket;
use crate::index::store::Index;
use crate::kinds::ObjectRef;
use crate::reconciler::alarms::Alarms;
use crate::reconciler::gates::brake::{Brake, Ledger};
use crate::reconciler::gates::confirmations::Confirmations;
use crate::reconciler::lanes::Lanes;
use crate::reconciler::memory::Memories;
use crate::reconciler::pending_deletions::PendingDeletions;
use crate::reconciler::plan::{Active, Write};
use crate::reconciler::service_profiles::lane::ProfileLane;
use crate::reconciler::writer::{GiveUp, WriteOutcome};
use std::collections::{HashMap, HashSet, VecDeque};
use std::time::{Duration, Instant};
use tokio::sync::oneshot;
use tokio::task::JoinSet;

/// What only has to be recorded waits for so long: most flaps are over by then.
const UNHURRIED: Duration = Duration::from_secs(1);
/// And it keeps out of the way of flips: only while so few writes are under way.
const FEW_WRITES: usize = 4;
/// Otherwise it tries again after about this.
const AGAIN: Duration = Duration::from_millis(200);

/// What a write task hands back.
pub(crate) struct FinishedWrite {
    pub write: Write,
    pub ticket: Ticket,
    pub active: Active,
    pub as_standby: bool,
    pub outcome: WriteOutcome,
}

/// A write that is under way.
pub(crate) struct InFlightWrite {
    noticed: Instant,
    resource_version: String,
    weights: Vec<u32>,
    /// By the newest decision.
    pub wanted: bool,
    give_up: Option<oneshot::Sender<GiveUp>>,
}

impl InFlightWrite {
    /// A write that begins, of an object that was first noticed then; and who hears that it is given
    /// up.
    pub(crate) fn new(write: &Write, noticed: Instant) -> (Self, oneshot::Receiver<GiveUp>) {
        let (give_up, given_up) = oneshot::channel();
        let in_flight = Self {
            noticed,
            resource_version: write.resource_version.clone(),
            weights: write.weights.clone(),
            wanted: true,
            give_up: Some(give_up),
        };
        (in_flight, given_up)
    }

    /// Whether this write would be the same again.
    pub(crate) fn is(&self, write: &Write) -> bool {
        self.resource_version == write.resource_version && self.weights == write.weights
    }
}

pub(crate) struct Queue {
    /// Objects to decide, in order, with the moment they were first noticed.
    pub waiting: VecDeque<(ObjectRef, Instant)>,
    pub queued: HashSet<ObjectRef>,
    /// Objects with a write under way.
    pub in_flight: HashMap<ObjectRef, InFlightWrite>,
    /// Which writes may be under way at once.
    pub lanes: Lanes,
    /// Objects noticed again while their write was under way.
    pub again: HashSet<ObjectRef>,
    pub alarms: Alarms,
    pub writes: JoinSet<FinishedWrite>,
    pub confirmations: Confirmations,
    pub memories: Memories,
    pub brake: Option<Brake>,
    /// Where what the brake knows outlives this replica; none without a brake.
    pub ledger: Option<Ledger>,
    pub profiles: ProfileLane,
    /// Deletions that wait for a flip.
    pub waits: PendingDeletions,
    /// A move that this replica made as a standby was reversed: it makes no other until it leads.
    pub silent: bool,
    /// The facts have not been whole: what was noticed meanwhile has been dropped.
    pub blind: bool,
}

impl Queue {
    pub(crate) fn new(concurrency: usize, brake: Option<u32>, ledger: Option<Ledger>) -> Self {
        Self {
            waiting: VecDeque::new(),
            queued: HashSet::new(),
            in_flight: HashMap::new(),
            lanes: Lanes::new(concurrency),
            again: HashSet::new(),
            alarms: Alarms::default(),
            writes: JoinSet::new(),
            confirmations: Confirmations::default(),
            memories: Memories::default(),
            brake: brake.map(Brake::new),
            ledger: ledger.filter(|_| brake.is_some()),
            profiles: ProfileLane::new(concurrency),
            waits: PendingDeletions::default(),
            silent: false,
            blind: false,
        }
    }

    pub(crate) fn notice(&mut self, key: ObjectRef, at: Instant) {
        if self.waits.concern(&key) {
            self.notice_first(key);
        } else if self.has_to_wait(&key) {
            self.again.insert(key);
        } else if self.queued.insert(key.clone()) {
            self.waiting.push_back((key, at));
        }
    }

    /// Before all others: what they lose is lost, and this is not yet.
    pub(crate) fn notice_first(&mut self, key: ObjectRef) {
        if self.has_to_wait(&key) {
            self.again.insert(key);
        } else if self.waiting.front().is_none_or(|(first, _)| *first != key) {
            // It may stand further behind too, and is looked at once more then.
            self.queued.insert(key.clone());
            self.waiting.push_front((key, Instant::now()));
        }
    }

    /// The facts are whole again. A LIST brings back every object that is there; of those that went
    /// while nothing was decided, what is remembered here has to go too.
    pub(crate) fn notice_vanished(&mut self, index: &Index) {
        let waited_for = self.waits.objects().chain(self.profiles.remembered());
        let known = self.memories.keys().chain(waited_for);
        let vanished = known.filter(|object| index.object(object).is_none());
        let vanished: HashSet<ObjectRef> = vanished.cloned().collect();
        self.notice_all(vanished);
    }

    /// Whether its write is under way and about to be answered. A newer decision does not wait for one
    /// that is slow.
    pub(crate) fn has_to_wait(&self, key: &ObjectRef) -> bool {
        self.in_flight.contains_key(key) && !self.lanes.is_slow(key)
    }

    /// The write of an object has ended: when it was first noticed.
    pub(crate) fn end(&mut self, key: &ObjectRef, answered: bool) -> Option<Instant> {
        self.lanes.end(key, answered.then(Instant::now));
        self.in_flight.remove(key).map(|in_flight| in_flight.noticed)
    }

    /// Gives up the write of an object that is under way.
    pub(crate) fn give_up(&mut self, key: &ObjectRef, why: GiveUp) {
        let in_flight = self.in_flight.get_mut(key);
        if let Some(give_up) = in_flight.and_then(|in_flight| in_flight.give_up.take()) {
            // It may have ended just now.
            let _ = give_up.send(why);
        }
    }

    /// What is under way of an object goes on.
    pub(crate) fn keep(&mut self, key: &ObjectRef) {
        if let Some(in_flight) = self.in_flight.get_mut(key) {
            in_flight.wanted = true;
        }
    }

    /// Whether this very write is under way.
    pub(crate) fn is_writing(&self, write: &Write) -> bool {
        self.in_flight.get(&write.object).is_some_and(|in_flight| in_flight.is(write))
    }

    /// The next object that has waited for a place for its write, or for that of its ServiceProfile.
    pub(crate) fn next_waiting(&mut self) -> Option<(ObjectRef, Instant)> {
        self.lanes.take_next().or_else(|| self.profiles.lanes.take_next())
    }

    /// When [`Self::turn`] has something to do.
    pub(crate) fn due(&self) -> Option<Instant> {
        self.lanes.due().into_iter().chain(self.profiles.lanes.due()).min()
    }

    /// Takes in that it is `now`: writes that have become slow are in nobody's way any more.
    pub(crate) fn turn(&mut self, now: Instant) {
        let turn = self.lanes.turn(now);
        for key in turn.given_up {
            self.give_up(&key, GiveUp::Crowded);
        }
        let mut waited = self.profiles.turn(now);
        waited.extend(turn.slow.into_iter().filter(|key| self.again.remove(key)));
        for key in waited {
            self.notice(key, now);
        }
    }

    pub(crate) fn notice_all(&mut self, keys: impl IntoIterator<Item = ObjectRef>) {
        let now = Instant::now();
        for key in keys {
            self.notice(key, now);
        }
    }

    /// Whether what only has to be recorded has waited long enough, and nothing that callers wait for
    /// is in its way.
    pub(crate) fn is_due(&mut self, key: &ObjectRef, has_state: bool) -> bool {
        let now = Instant::now();
        let since = *self.memories.entry(key).unrecorded.get_or_insert(now);
        // Without a state the start of a delay is nowhere yet.
        let patience = if has_state { UNHURRIED } else { Duration::ZERO };
        let wait = patience.saturating_sub(now.saturating_duration_since(since));
        let crowded = self.lanes.fast() >= FEW_WRITES || !self.waiting.is_empty();
        if wait.is_zero() && !crowded {
            return true;
        }
        self.alarms.set(key, wait.max(AGAIN.mul_f64(0.5 + fastrand::f64())));
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kinds::{Kind, ObjectKey};

    #[test]
    fn what_went_while_nothing_was_decided_is_noticed_once_the_facts_are_whole() {
        let object = |name: &str| ObjectRef::new(Kind::TrafficSplit, ObjectKey::new("ns", name));
        let mut queue = Queue::new(32, None, None);
        queue.memories.entry(&object("remembered")).unreadable = true;
        let (reply, _answer) = tokio::sync::oneshot::channel();
        queue.waits.add(HashSet::from([object("waited-for")]), reply);
        // Neither is in the index any more.
        queue.notice_vanished(&Index::default());
        let noticed: HashSet<_> = queue.waiting.iter().map(|(key, _)| key.clone()).collect();
        assert_eq!(noticed, [object("remembered"), object("waited-for")].into());
    }
}
