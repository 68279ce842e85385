//! The lanes of writes: which of them may be under way at once, so that one that hangs costs the
//! others nothing. Decides only: the time is an argument, and there is no I/O.
//!
//! A write that is answered at once has a fast place for that moment. One that is not (a webhook of
//! somebody else's hangs) gives its place to the next and stays under way beside it. Objects whose
//! last write was refused, or not answered in time, have lanes of their own until one lands.

use crate::kinds::ObjectRef;
use std::collections::{HashMap, HashSet, VecDeque};
use std::time::{Duration, Instant};

/// After this a write is slow: most take some ten milliseconds, also among many.
pub(crate) const SLOW_AFTER: Duration = Duration::from_millis(150);

/// So many slow writes may have given their fast place back. With the fast ones they are fewer than
/// the API server answers at once on a connection: 100.
const LEFT_OUT: usize = 64;
/// Where more are slow and nothing has been answered for so long, they do not wait for an API server
/// that is busy: the oldest are given up, to make room.
const STUCK: Duration = Duration::from_secs(1);
/// Places of the other lanes. They have a connection of their own, and the same bound.
const REFUSED: usize = 32;
const HUNG: usize = 64;

/// How long a write may take, by how many before it had no answer. An API server may spend 10 s on
/// each webhook that hangs, and gives up by itself after 34 s; before that a first try finds out
/// whether it is only the connection that is dead.
const PATIENCE: [Duration; 3] =
    [Duration::from_secs(5), Duration::from_secs(15), Duration::from_secs(40)];

/// How long to wait for the answer to a write, after so many that had none.
pub(crate) fn patience(unanswered: u32) -> Duration {
    PATIENCE[(unanswered as usize).min(PATIENCE.len() - 1)]
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

/// The writes that are under way, and those that wait for a place.
#[derive(Debug)]
pub(crate) struct Lanes {
    fast: usize,
    out: HashMap<ObjectRef, Out>,
    /// By [`Lane`], with the moment each was first noticed.
    waiting: [VecDeque<(ObjectRef, Instant)>; Lane::ALL.len()],
    waits: HashSet<ObjectRef>,
    /// When a write was answered last.
    answered: Option<Instant>,
}

#[derive(Debug)]
struct Out {
    lane: Lane,
    since: Instant,
    slow: bool,
    /// It holds a fast place.
    in_place: bool,
    given_up: bool,
}

impl Out {
    fn is_left_out(&self) -> bool {
        self.lane == Lane::Fast && !self.in_place && !self.given_up
    }
}

/// What time has done to the writes under way.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Turn {
    /// They have become slow: what was noticed of them meanwhile is to be decided.
    pub slow: Vec<ObjectRef>,
    /// They are to be given up, to make room.
    pub given_up: Vec<ObjectRef>,
}

impl Lanes {
    /// With so many fast places.
    pub(crate) fn new(fast: usize) -> Self {
        Self {
            fast,
            out: HashMap::new(),
            waiting: Default::default(),
            waits: HashSet::new(),
            answered: None,
        }
    }

    /// Whether its write is under way and slow: a newer decision need not wait for it.
    pub(crate) fn is_slow(&self, key: &ObjectRef) -> bool {
        self.out.get(key).is_some_and(|out| out.slow)
    }

    /// Whether it waits for a place.
    pub(crate) fn is_waiting(&self, key: &ObjectRef) -> bool {
        self.waits.contains(key)
    }

    /// How many writes are under way.
    pub(crate) fn len(&self) -> usize {
        self.out.len()
    }

    /// How many of them are slow.
    pub(crate) fn slow(&self) -> usize {
        self.out.values().filter(|out| out.slow).count()
    }

    /// How many are in a fast place: others keep out of their way.
    pub(crate) fn fast(&self) -> usize {
        self.out.values().filter(|out| out.in_place).count()
    }

    pub(crate) fn has_room(&self, lane: Lane) -> bool {
        let taken = || self.out.values().filter(|out| out.lane == lane).count();
        match lane {
            Lane::Fast => self.fast() < self.fast,
            Lane::Refused => taken() < REFUSED,
            Lane::Hung => taken() < HUNG,
        }
    }

    /// A write begins.
    pub(crate) fn begin(&mut self, key: &ObjectRef, lane: Lane, now: Instant) {
        let in_place = lane == Lane::Fast;
        let out = Out { lane, since: now, slow: false, in_place, given_up: false };
        self.out.insert(key.clone(), out);
    }

    /// A write has ended, and was answered then.
    pub(crate) fn end(&mut self, key: &ObjectRef, answered: Option<Instant>) {
        self.out.remove(key);
        self.answered = self.answered.max(answered);
    }

    /// An object waits for a place in a lane.
    pub(crate) fn wait(&mut self, key: &ObjectRef, lane: Lane, noticed: Instant) {
        if self.waits.insert(key.clone()) {
            self.waiting[lane as usize].push_back((key.clone(), noticed));
        }
    }

    /// The next object that has waited for a place which is free now.
    pub(crate) fn take_next(&mut self) -> Option<(ObjectRef, Instant)> {
        let lane = Lane::ALL
            .into_iter()
            .find(|lane| !self.waiting[*lane as usize].is_empty() && self.has_room(*lane))?;
        let next = self.waiting[lane as usize].pop_front()?;
        self.waits.remove(&next.0);
        Some(next)
    }

    /// What waits is noticed again by other ways.
    pub(crate) fn forget_waiting(&mut self) {
        self.waiting = Default::default();
        self.waits.clear();
    }

    /// When [`Self::turn`] has something to do; none while no write is under way that waits for it.
    pub(crate) fn due(&self) -> Option<Instant> {
        let fresh = self.out.values().filter(|out| !out.slow);
        let slows = fresh.map(|out| out.since).min().map(|began| began + SLOW_AFTER);
        let waits = self.out.values().filter(|out| out.slow && out.in_place);
        let leaves = waits.map(|out| out.since).min().map(|began| {
            let left_out = self.out.values().filter(|out| out.is_left_out());
            match left_out.clone().count() < LEFT_OUT {
                true => began + SLOW_AFTER,
                false => {
                    left_out.map(|out| out.since).min().max(self.answered).unwrap_or(began) + STUCK
                }
            }
        });
        slows.into_iter().chain(leaves).min()
    }

    /// Takes in that it is `now`.
    pub(crate) fn turn(&mut self, now: Instant) -> Turn {
        let lasts = |since: Instant, time| now.saturating_duration_since(since) >= time;
        let mut turn = Turn::default();
        for (key, out) in &mut self.out {
            if !out.slow && lasts(out.since, SLOW_AFTER) {
                out.slow = true;
                turn.slow.push(key.clone());
            }
        }
        let mut slow: Vec<_> =
            self.out.iter_mut().filter(|(_, out)| out.slow && out.lane == Lane::Fast).collect();
        slow.sort_unstable_by_key(|(_, out)| out.since);
        let left_out = slow.iter().filter(|(_, out)| out.is_left_out()).count();
        let wait = slow.iter().filter(|(_, out)| out.in_place).count();
        let excess = (left_out + wait).saturating_sub(LEFT_OUT);
        let mut room = LEFT_OUT - left_out.min(LEFT_OUT);
        if self.answered.is_none_or(|answered| lasts(answered, STUCK)) {
            let stuck = |out: &&mut (&ObjectRef, &mut Out)| {
                out.1.is_left_out() && lasts(out.1.since, STUCK)
            };
            for (key, out) in slow.iter_mut().filter(stuck).take(excess) {
                out.given_up = true;
                turn.given_up.push((*key).clone());
                room += 1;
            }
        }
        for (_, out) in slow.into_iter().filter(|(_, out)| out.in_place).take(room) {
            out.in_place = false;
        }
        turn
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
    fn patience_grows_with_each_try_beyond_what_the_api_server_may_take() {
        let grows: Vec<_> = (0..5).map(|n| patience(n).as_secs()).collect();
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
            let turn = lanes.turn(now);
            given_up += turn.given_up.len();
            turn.given_up.iter().for_each(|key| lanes.end(key, None));
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
            assert_eq!(lanes.turn(now).given_up, []);
            assert!(lanes.len() <= 32 + LEFT_OUT);
            lanes.end(&key(ended), Some(now));
            ended += 1;
        }
    }

    #[test]
    fn a_slow_write_gives_its_place_back_and_may_be_replaced() {
        let (mut lanes, start) = (Lanes::new(2), Instant::now());
        fill(&mut lanes, 0..2, Lane::Fast, start);
        assert!(!lanes.has_room(Lane::Fast));
        assert_eq!(lanes.turn(start + SLOW_AFTER / 2), Turn::default());
        assert!(!lanes.is_slow(&key(0)));
        let turn = lanes.turn(start + SLOW_AFTER);
        assert_eq!((turn.slow.len(), turn.given_up.len()), (2, 0));
        assert!(lanes.has_room(Lane::Fast) && lanes.is_slow(&key(0)));
        assert_eq!((lanes.len(), lanes.slow(), lanes.fast()), (2, 2, 0));
        assert_eq!(lanes.due(), None);
        assert_eq!(lanes.turn(start + SLOW_AFTER * 2), Turn::default(), "told once");
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
