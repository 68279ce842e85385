//! The queue: what is to be decided, and what is under way; one write at once per object.

use super::alarms::Alarms;
use super::brake::{Brake, Ledger};
use super::confirm::Confirmations;
use super::memory::Memories;
use super::plan::{Active, Write};
use super::profile_lane::Lane;
use super::waits::Waits;
use super::writer::Outcome;
use crate::cluster::{Index, Ticket};
use crate::resources::ObjectRef;
use std::collections::{HashMap, HashSet, VecDeque};
use std::time::{Duration, Instant};
use tokio::task::JoinSet;

/// What only has to be recorded waits for so long: most flaps are over by then.
const UNHURRIED: Duration = Duration::from_secs(1);
/// And it keeps out of the way of flips: only while so few writes are under way.
const FEW_WRITES: usize = 4;
/// Otherwise it tries again after about this.
const AGAIN: Duration = Duration::from_millis(200);

/// What a write task hands back.
pub struct Done {
    pub write: Write,
    pub ticket: Ticket,
    pub active: Active,
    pub as_standby: bool,
    pub outcome: Outcome,
}

pub struct Queue {
    /// Objects to decide, in order, with the moment they were first noticed.
    pub waiting: VecDeque<(ObjectRef, Instant)>,
    pub queued: HashSet<ObjectRef>,
    /// Objects with a write under way, with the moment they were first noticed.
    pub in_flight: HashMap<ObjectRef, Instant>,
    /// Objects noticed again while their write was under way.
    pub again: HashSet<ObjectRef>,
    pub alarms: Alarms,
    pub writes: JoinSet<Done>,
    pub confirmations: Confirmations,
    pub memories: Memories,
    pub brake: Option<Brake>,
    /// Where what the brake knows outlives this replica; none without a brake.
    pub ledger: Option<Ledger>,
    pub profiles: Lane,
    /// Deletions that wait for a flip.
    pub waits: Waits,
    /// A move that this replica made as a standby was reversed: it makes no other until it leads.
    pub silent: bool,
    /// The facts have not been whole: what was noticed meanwhile has been dropped.
    pub blind: bool,
}

impl Queue {
    pub fn new(brake: Option<u32>, ledger: Option<Ledger>) -> Self {
        Self {
            waiting: VecDeque::new(),
            queued: HashSet::new(),
            in_flight: HashMap::new(),
            again: HashSet::new(),
            alarms: Alarms::default(),
            writes: JoinSet::new(),
            confirmations: Confirmations::default(),
            memories: Memories::default(),
            brake: brake.map(Brake::new),
            ledger: ledger.filter(|_| brake.is_some()),
            profiles: Lane::default(),
            waits: Waits::default(),
            silent: false,
            blind: false,
        }
    }

    pub fn notice(&mut self, key: ObjectRef, at: Instant) {
        if self.waits.concern(&key) {
            self.notice_first(key);
        } else if self.in_flight.contains_key(&key) {
            self.again.insert(key);
        } else if self.queued.insert(key.clone()) {
            self.waiting.push_back((key, at));
        }
    }

    /// Before all others: what they lose is lost, and this is not yet.
    pub fn notice_first(&mut self, key: ObjectRef) {
        if self.in_flight.contains_key(&key) {
            self.again.insert(key);
        } else if self.waiting.front().is_none_or(|(first, _)| *first != key) {
            // It may stand further behind too, and is looked at once more then.
            self.queued.insert(key.clone());
            self.waiting.push_front((key, Instant::now()));
        }
    }

    /// The facts are whole again. A LIST brings back every object that is there; of those that went
    /// while nothing was decided, what is remembered here has to go too.
    pub fn notice_vanished(&mut self, index: &Index) {
        let waited_for = self.waits.objects().chain(self.profiles.remembered());
        let known = self.memories.keys().chain(waited_for);
        let vanished = known.filter(|object| index.object(object).is_none());
        let vanished: HashSet<ObjectRef> = vanished.cloned().collect();
        self.notice_all(vanished);
    }

    pub fn notice_all(&mut self, keys: impl IntoIterator<Item = ObjectRef>) {
        let now = Instant::now();
        for key in keys {
            self.notice(key, now);
        }
    }

    /// Whether what only has to be recorded has waited long enough, and nothing that callers wait for
    /// is in its way.
    pub fn is_due(&mut self, key: &ObjectRef, has_state: bool) -> bool {
        let now = Instant::now();
        let since = *self.memories.entry(key).unrecorded.get_or_insert(now);
        // Without a state the start of a delay is nowhere yet.
        let patience = if has_state { UNHURRIED } else { Duration::ZERO };
        let wait = patience.saturating_sub(now.saturating_duration_since(since));
        let crowded = self.in_flight.len() >= FEW_WRITES || !self.waiting.is_empty();
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
    use crate::resources::{Kind, ObjectKey};

    #[test]
    fn what_went_while_nothing_was_decided_is_noticed_once_the_facts_are_whole() {
        let object = |name: &str| ObjectRef::new(Kind::TrafficSplit, ObjectKey::new("ns", name));
        let mut queue = Queue::new(None, None);
        queue.memories.entry(&object("remembered")).unreadable = true;
        let (reply, _answer) = tokio::sync::oneshot::channel();
        queue.waits.add(HashSet::from([object("waited-for")]), reply);
        // Neither is in the index any more.
        queue.notice_vanished(&Index::default());
        let noticed: HashSet<_> = queue.waiting.iter().map(|(key, _)| key.clone()).collect();
        assert_eq!(noticed, [object("remembered"), object("waited-for")].into());
    }
}
