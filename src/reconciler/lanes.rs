//! The lanes of writes: which of them may be under way at once, so that one that hangs costs the
//! others nothing. Decides only: the time is an argument, and there is no I/O.
//!
//! A write that is answered at once has a fast place for that moment. One that is not (a webhook of
//! somebody else's hangs) gives its place to the next and stays under way beside it. Objects whose
//! last write was refused, or not answered in time, have lanes of their own until one lands.

use crate::kinds::ObjectRef;
use std::collections::{HashMap, HashSet, VecDeque};
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
    /// By [`Lane`], with the time at which each was first enqueued.
    waiting: [VecDeque<(ObjectRef, Instant)>; Lane::ALL.len()],
    in_line: HashSet<ObjectRef>,
    /// When a write was answered last.
    last_answer: Option<Instant>,
}

#[derive(Debug)]
struct UnderWay {
    lane: Lane,
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
            in_line: HashSet::new(),
            last_answer: None,
        }
    }

    /// Whether its write is under way and slow: a newer decision need not wait for it.
    pub(crate) fn is_slow(&self, key: &ObjectRef) -> bool {
        self.writes.get(key).is_some_and(|write| write.slow)
    }

    /// Whether it waits for a place.
    pub(crate) fn is_waiting(&self, key: &ObjectRef) -> bool {
        self.in_line.contains(key)
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

    pub(crate) fn has_room(&self, lane: Lane) -> bool {
        let taken = || self.writes.values().filter(|write| write.lane == lane).count();
        match lane {
            Lane::Fast => self.fast() < self.fast,
            Lane::Refused => taken() < REFUSED,
            Lane::Hung => taken() < HUNG,
        }
    }

    /// A write begins.
    pub(crate) fn begin(&mut self, key: &ObjectRef, lane: Lane, now: Instant) {
        let has_place = lane == Lane::Fast;
        let write = UnderWay { lane, since: now, slow: false, has_place, given_up: false };
        self.writes.insert(key.clone(), write);
    }

    /// A write has ended, and was answered then.
    pub(crate) fn end(&mut self, key: &ObjectRef, answered: Option<Instant>) {
        self.writes.remove(key);
        self.last_answer = self.last_answer.max(answered);
    }

    /// An object waits for a place in a lane.
    pub(crate) fn wait(&mut self, key: &ObjectRef, lane: Lane, noticed: Instant) {
        if self.in_line.insert(key.clone()) {
            self.waiting[lane as usize].push_back((key.clone(), noticed));
        }
    }

    /// The next object that has waited for a place which is free now.
    pub(crate) fn take_next(&mut self) -> Option<(ObjectRef, Instant)> {
        let lane = Lane::ALL
            .into_iter()
            .find(|lane| !self.waiting[*lane as usize].is_empty() && self.has_room(*lane))?;
        let next = self.waiting[lane as usize].pop_front()?;
        self.in_line.remove(&next.0);
        Some(next)
    }

    /// Drops the objects that wait for a place; they are enqueued again by other ways.
    pub(crate) fn forget_waiting(&mut self) {
        self.waiting = Default::default();
        self.in_line.clear();
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
        slows.into_iter().chain(gives_up_place).min()
    }

    /// Advances the lanes to `now`.
    pub(crate) fn advance(&mut self, now: Instant) -> Advance {
        let lasts = |since: Instant, time| now.saturating_duration_since(since) >= time;
        let mut advance = Advance::default();
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
mod tests {
    use super::*;
    use crate::kinds::{Kind, ObjectKey};

    fn key(n: usize) -> ObjectRef {
        ObjectRef::new(Kind::TrafficSplit, ObjectKey::new("ns", format!("split-{n:03}")))
    }

    fn fill(lanes: &mut Lanes, keys: std::ops::Range<usize>, lane: Lane, now: Instant) {
        for n in keys {
            assert!(lanes.has_room(lane), "{n}");
            lanes.begin(&key(n), lane, now);
        }
    }

    #[test]
    fn timeouts_grow_with_each_try_beyond_what_the_api_server_may_take() {
        let grows: Vec<_> = (0..5).map(|n| write_timeout(n).as_secs()).collect();
        assert_eq!(grows, [5, 15, 40, 40, 40]);
    }

    /// Begins these, as soon as each has a place, while none is answered. Returns when the last began,
    /// and how many were given up.
    fn begin_all(lanes: &mut Lanes, count: usize, start: Instant) -> (Duration, usize) {
        let (mut now, mut next, mut given_up) = (start, 0, 0);
        loop {
            while lanes.has_room(Lane::Fast) && next < count {
                lanes.begin(&key(next), Lane::Fast, now);
                next += 1;
            }
            if next == count {
                return (now - start, given_up);
            }
            now = lanes.due().unwrap();
            let advance = lanes.advance(now);
            given_up += advance.given_up.len();
            advance.given_up.iter().for_each(|key| lanes.end(key, None));
        }
    }

    #[test]
    fn ninety_that_hang_cost_a_healthy_one_less_than_half_a_second() {
        let (mut lanes, now) = (Lanes::new(32), Instant::now());
        // The healthy one is the last in line.
        let (took, given_up) = begin_all(&mut lanes, 91, now);
        assert!(took < Duration::from_millis(500), "{took:?}");
        assert_eq!(given_up, 0);
        // From the second try on they have a lane of their own, and cost nothing at all.
        (0..91).for_each(|n| lanes.end(&key(n), None));
        for n in 0..90 {
            match lanes.has_room(Lane::Hung) {
                true => lanes.begin(&key(n), Lane::Hung, now),
                false => lanes.wait(&key(n), Lane::Hung, now),
            }
        }
        assert_eq!((lanes.len(), lanes.fast()), (HUNG, 0));
        assert!(lanes.has_room(Lane::Fast) && lanes.has_room(Lane::Refused));
    }

    #[test]
    fn of_more_that_hang_than_a_connection_carries_the_oldest_make_room() {
        let mut lanes = Lanes::new(32);
        let (took, given_up) = begin_all(&mut lanes, 400, Instant::now());
        assert!(took < Duration::from_secs(7), "{took:?}");
        assert!((300..=400 - 64).contains(&given_up), "{given_up}");
    }

    #[test]
    fn nothing_is_given_up_while_a_busy_api_server_goes_on_answering() {
        let (mut lanes, start) = (Lanes::new(32), Instant::now());
        let (mut now, mut ended) = (start, 0);
        let mut next = 0;
        // Ten a second: each takes some ten seconds in the end.
        while now < start + Duration::from_secs(30) {
            while lanes.has_room(Lane::Fast) {
                lanes.begin(&key(next), Lane::Fast, now);
                next += 1;
            }
            now += Duration::from_millis(100);
            assert_eq!(lanes.advance(now).given_up, []);
            assert!(lanes.len() <= 32 + MAX_BESIDE);
            lanes.end(&key(ended), Some(now));
            ended += 1;
        }
    }

    #[test]
    fn a_slow_write_gives_its_place_back_and_may_be_replaced() {
        let (mut lanes, start) = (Lanes::new(2), Instant::now());
        fill(&mut lanes, 0..2, Lane::Fast, start);
        assert!(!lanes.has_room(Lane::Fast));
        assert_eq!(lanes.advance(start + SLOW_AFTER / 2), Advance::default());
        assert!(!lanes.is_slow(&key(0)));
        let advance = lanes.advance(start + SLOW_AFTER);
        assert_eq!((advance.slow.len(), advance.given_up.len()), (2, 0));
        assert!(lanes.has_room(Lane::Fast) && lanes.is_slow(&key(0)));
        assert_eq!((lanes.len(), lanes.slow(), lanes.fast()), (2, 2, 0));
        assert_eq!(lanes.due(), None);
        assert_eq!(lanes.advance(start + SLOW_AFTER * 2), Advance::default(), "reported once");
    }

    #[test]
    fn each_lane_has_places_of_its_own_and_a_line_of_its_own() {
        let (mut lanes, now) = (Lanes::new(1), Instant::now());
        fill(&mut lanes, 0..HUNG, Lane::Hung, now);
        lanes.wait(&key(900), Lane::Hung, now);
        lanes.wait(&key(901), Lane::Refused, now);
        lanes.wait(&key(901), Lane::Refused, now);
        assert_eq!(lanes.take_next().unwrap().0, key(901));
        assert_eq!(lanes.take_next(), None, "the lane of those that hang is full");
        assert!(lanes.is_waiting(&key(900)));
        lanes.end(&key(0), None);
        assert_eq!(lanes.take_next().unwrap().0, key(900));
        assert!(!lanes.is_waiting(&key(900)));
        lanes.wait(&key(902), Lane::Hung, now);
        lanes.forget_waiting();
        assert_eq!(lanes.take_next(), None);
    }
}
