//! The lanes of writes: which of them may be under way at once, so that one that hangs costs the
//! others nothing. Decides only: the time is an argument, and there is no I/O.
//!
//! A write that is answered at once has a fast place for that moment. One that is not (a webhook of
//! somebody else's hangs) gives its place to the next and stays under way beside it. Objects whose
//! last write was refused, or not answered in time, have lanes of their own until one lands.
//!
//! Writes that nobody waits for leave half of the fast places to those that callers wait for, and all of
//! them while the API server is throttling.

use crate::index::change::Noticed;
use crate::kinds::ObjectRef;
use crate::reconciler::ordered_queue::{Cause, OrderedQueue, Urgency};
use std::collections::HashMap;
use std::time::{Duration, Instant};

/// A write that takes longer is slow: most take some ten milliseconds, also among many.
pub(crate) const SLOW_AFTER: Duration = Duration::from_millis(150);

/// This many slow writes may be under way beside the fast places. With the fast ones they are fewer than
/// the API server answers at once on a connection: 100.
const MAX_BESIDE: usize = 64;
/// Where more are slow and nothing has been answered for this long, they do not wait for an API server
/// that is busy: the oldest are given up, to make room.
const STUCK_AFTER: Duration = Duration::from_secs(1);
/// Places of the other lanes. They have a connection of their own, and the same bound.
const REFUSED: usize = 32;
const HUNG: usize = 64;

/// How long a write may take, by how many before it had no answer. An API server may spend 10 s on
/// each webhook that hangs, and gives up by itself after 34 s; before that a first try finds out
/// whether it is only the connection that is dead.
const WRITE_TIMEOUTS: [Duration; 3] =
    [Duration::from_secs(5), Duration::from_secs(15), Duration::from_secs(40)];

/// How long to wait for the answer to a write, after this many that had none.
pub(crate) fn write_timeout(unanswered: u32) -> Duration {
    WRITE_TIMEOUTS[(unanswered as usize).min(WRITE_TIMEOUTS.len() - 1)]
}

/// Where a write has its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lane {
    /// Objects whose writes land.
    Fast,
    /// Objects whose last write was refused.
    Refused,
    /// Objects whose last write had no answer in time.
    Hung,
}

impl Lane {
    const ALL: [Self; 3] = [Self::Fast, Self::Refused, Self::Hung];
}

/// The writes that are under way, and the objects that wait for a place.
#[derive(Debug)]
pub(crate) struct Lanes {
    fast: usize,
    writes: HashMap<ObjectRef, UnderWay>,
    /// By [`Lane`].
    waiting: [OrderedQueue; Lane::ALL.len()],
    /// Until when the API server has asked for fewer requests.
    throttled_until: Option<Instant>,
    /// When a write was answered last.
    last_answer: Option<Instant>,
}

#[derive(Debug)]
struct UnderWay {
    lane: Lane,
    /// Callers wait for it.
    awaited: bool,
    since: Instant,
    slow: bool,
    /// It has a fast place.
    has_place: bool,
    given_up: bool,
}

impl UnderWay {
    fn is_beside(&self) -> bool {
        self.lane == Lane::Fast && !self.has_place && !self.given_up
    }
}

/// How time changes the writes under way.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Advance {
    /// They have become slow: what was enqueued of them meanwhile is to be decided.
    pub slow: Vec<ObjectRef>,
    /// They are to be given up, to make room.
    pub given_up: Vec<ObjectRef>,
}

impl Lanes {
    /// With this many fast places.
    pub(crate) fn new(fast: usize) -> Self {
        Self {
            fast,
            writes: HashMap::new(),
            waiting: Default::default(),
            throttled_until: None,
            last_answer: None,
        }
    }

    /// Whether its write is under way and slow: a newer decision need not wait for it.
    pub(crate) fn is_slow(&self, key: &ObjectRef) -> bool {
        self.writes.get(key).is_some_and(|write| write.slow)
    }

    /// Whether it waits for a place.
    pub(crate) fn is_waiting(&self, key: &ObjectRef) -> bool {
        self.waiting.iter().any(|line| line.contains(key))
    }

    /// The objects that wait for a place, line by line.
    pub(crate) fn waiting(&self) -> &[OrderedQueue] {
        &self.waiting
    }

    /// How many writes are under way.
    pub(crate) fn len(&self) -> usize {
        self.writes.len()
    }

    /// How many of them are slow.
    pub(crate) fn slow(&self) -> usize {
        self.writes.values().filter(|write| write.slow).count()
    }

    /// How many are in a fast place: others keep out of their way.
    pub(crate) fn fast(&self) -> usize {
        self.writes.values().filter(|write| write.has_place).count()
    }

    /// Whether a write that is so urgent may begin in a lane.
    pub(crate) fn has_room(&self, lane: Lane, urgency: Urgency) -> bool {
        let awaited = urgency.is_awaited();
        if self.throttled_until.is_some() && !awaited {
            return false;
        }
        let taken = || self.writes.values().filter(|write| write.lane == lane).count();
        match lane {
            Lane::Fast => {
                self.fast() < self.fast && (awaited || self.not_awaited() < self.fast.div_ceil(2))
            }
            Lane::Refused => taken() < REFUSED,
            Lane::Hung => taken() < HUNG,
        }
    }

    /// How many in a fast place nobody waits for.
    fn not_awaited(&self) -> usize {
        self.writes.values().filter(|write| write.has_place && !write.awaited).count()
    }

    /// A write begins.
    pub(crate) fn begin(&mut self, key: &ObjectRef, lane: Lane, urgency: Urgency, now: Instant) {
        let (awaited, has_place) = (urgency.is_awaited(), lane == Lane::Fast);
        let write = UnderWay { lane, awaited, since: now, slow: false, has_place, given_up: false };
        self.writes.insert(key.clone(), write);
    }

    /// The API server asks for fewer requests until then.
    pub(crate) fn throttle(&mut self, until: Instant) {
        self.throttled_until = self.throttled_until.max(Some(until));
    }

    /// A write has ended, and was answered then.
    pub(crate) fn end(&mut self, key: &ObjectRef, answered: Option<Instant>) {
        self.writes.remove(key);
        self.last_answer = self.last_answer.max(answered);
    }

    /// An object waits for a place in a lane.
    pub(crate) fn wait(&mut self, key: &ObjectRef, lane: Lane, cause: Cause) {
        self.waiting[lane as usize].enqueue(key.clone(), cause);
    }

    /// The next object that has waited for a place which is free now.
    pub(crate) fn take_next(&mut self) -> Option<(ObjectRef, Noticed)> {
        Lane::ALL.into_iter().find_map(|lane| {
            let mut line = std::mem::take(&mut self.waiting[lane as usize]);
            let next = line.take(|urgency| self.has_room(lane, urgency));
            self.waiting[lane as usize] = line;
            next
        })
    }

    /// Drops the objects that wait for a place; they are enqueued again by other ways.
    pub(crate) fn forget_waiting(&mut self) {
        self.waiting = Default::default();
    }

    /// When [`Self::advance`] has something to do; none while no write is under way that waits for it.
    pub(crate) fn due(&self) -> Option<Instant> {
        let fresh = self.writes.values().filter(|write| !write.slow);
        let slows = fresh.map(|write| write.since).min().map(|began| began + SLOW_AFTER);
        let in_place = self.writes.values().filter(|write| write.slow && write.has_place);
        let gives_up_place = in_place.map(|write| write.since).min().map(|began| {
            let beside = self.writes.values().filter(|write| write.is_beside());
            match beside.clone().count() < MAX_BESIDE {
                true => began + SLOW_AFTER,
                false => {
                    beside.map(|write| write.since).min().max(self.last_answer).unwrap_or(began)
                        + STUCK_AFTER
                }
            }
        });
        slows.into_iter().chain(gives_up_place).chain(self.throttled_until).min()
    }

    /// Advances the lanes to `now`.
    pub(crate) fn advance(&mut self, now: Instant) -> Advance {
        let lasts = |since: Instant, time| now.saturating_duration_since(since) >= time;
        let mut advance = Advance::default();
        self.throttled_until = self.throttled_until.filter(|until| *until > now);
        for (key, write) in &mut self.writes {
            if !write.slow && lasts(write.since, SLOW_AFTER) {
                write.slow = true;
                advance.slow.push(key.clone());
            }
        }
        let mut slow: Vec<_> = self
            .writes
            .iter_mut()
            .filter(|(_, write)| write.slow && write.lane == Lane::Fast)
            .collect();
        slow.sort_unstable_by_key(|(_, write)| write.since);
        let beside = slow.iter().filter(|(_, write)| write.is_beside()).count();
        let wait = slow.iter().filter(|(_, write)| write.has_place).count();
        let excess = (beside + wait).saturating_sub(MAX_BESIDE);
        let mut room = MAX_BESIDE - beside.min(MAX_BESIDE);
        if self.last_answer.is_none_or(|answered| lasts(answered, STUCK_AFTER)) {
            let stuck = |out: &&mut (&ObjectRef, &mut UnderWay)| {
                out.1.is_beside() && lasts(out.1.since, STUCK_AFTER)
            };
            for (key, write) in slow.iter_mut().filter(stuck).take(excess) {
                write.given_up = true;
                advance.given_up.push((*key).clone());
                room += 1;
            }
        }
        for (_, write) in slow.into_iter().filter(|(_, write)| write.has_place).take(room) {
            write.has_place = false;
        }
        advance
    }
}

#[cfg(test)]
#[path = "lanes_tests.rs"]
mod tests;
