//! Replicas that watch, lag, break, lead, die and come back, all with a brake of 10% over 30
//! objects: what they move between them.
//!
//! The Lease, and when a standby rescues, are simulated here alone: no other property has a leader.

use crate::engine::Now;
use crate::kinds::ObjectRef;
use crate::reconciler::gates::brake::tests::object;
use crate::reconciler::gates::brake::{Brake, BrakeDecision, BrakeRecord, TrafficPosition};
use crate::simulation::api_server::{ApiServer, Stored};
use crate::simulation::clock::Clock;
use crate::simulation::watch::{Delivery, Watch};
use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;
use std::collections::BTreeMap;

const OBJECTS: u64 = 30;
/// So many may leave at once: 10%.
const SHARE: usize = 3;
/// In milliseconds.
const TICK: i64 = 250;

#[derive(Clone, Copy, Debug)]
enum Happening {
    /// A watch of objects is interrupted: nothing can be decided until it is listed again.
    Break(usize),
    /// It reports nothing any more, and what it reported last is believed.
    Freeze(usize),
    /// It is listed again, or goes on.
    Mend(usize),
    /// Another replica leads; none: nobody does.
    Leader(Option<usize>),
    /// Starts again, and knows nothing.
    Restart(usize),
    /// An object is deleted, or created again as it was.
    Vanish(u64),
    Return(u64),
    /// The primary of an object cannot be seen for a while.
    Unknown(u64, bool),
}

/// When the traffic of an object left its primary.
type Left = Option<Timestamp>;

struct Replica {
    brake: Brake,
    watch: Watch<u64, Left>,
    view: BTreeMap<u64, Stored<Left>>,
    /// Since when it has wanted each move.
    wanted: Vec<Option<i64>>,
    /// When another was last seen to move anything.
    others_moved: i64,
}

struct World {
    clock: Clock,
    server: ApiServer<u64, Left>,
    deleted: BTreeMap<u64, Left>,
    lost: Vec<bool>,
    unknown: Vec<bool>,
    lease: BrakeRecord,
    released: Option<Timestamp>,
    leader: Option<usize>,
    replicas: Vec<Replica>,
    moved: usize,
}

impl Replica {
    fn new() -> Self {
        Self {
            brake: Brake::new(10),
            watch: Watch::default(),
            view: BTreeMap::new(),
            wanted: vec![None; OBJECTS as usize],
            others_moved: i64::MIN / 2,
        }
    }

    /// Takes in what the watch delivers.
    fn catch_up(&mut self, server: &ApiServer<u64, Left>, now: i64) {
        while let Some(delivery) = self.watch.follow(server) {
            match delivery {
                Delivery::Begins | Delivery::Answered => {}
                Delivery::Listed(i, stored) | Delivery::Changed(i, stored) => {
                    let before = self.view.insert(i, stored);
                    if before.is_some_and(|(_, left)| left != stored.1) {
                        self.others_moved = now;
                    }
                }
                Delivery::Complete(keys) => self.view.retain(|i, _| keys.contains(i)),
                Delivery::Deleted(i, _) => drop(self.view.remove(&i)),
            }
        }
    }
}

impl World {
    fn new(replicas: usize) -> Self {
        let mut world = Self {
            clock: Clock::at_second(1_000),
            server: ApiServer::default(),
            deleted: BTreeMap::new(),
            lost: vec![false; OBJECTS as usize],
            unknown: vec![false; OBJECTS as usize],
            lease: BrakeRecord::default(),
            released: None,
            leader: Some(0),
            replicas: (0..replicas).map(|_| Replica::new()).collect(),
            moved: 0,
        };
        for i in 0..OBJECTS {
            world.server.put(i, None);
        }
        world.run(1);
        world
    }

    fn time(&self) -> Now {
        self.clock.now()
    }

    fn happen(&mut self, happening: Happening) {
        match happening {
            Happening::Break(r) => {
                self.replicas[r].watch.end();
                self.replicas[r].watch.stall();
            }
            Happening::Freeze(r) => {
                // One that was interrupted is listed again before it freezes.
                if !self.replicas[r].watch.is_synced() {
                    self.replicas[r].watch.resume();
                    self.replicas[r].catch_up(&self.server, self.clock.millis);
                }
                self.replicas[r].watch.stall();
            }
            Happening::Mend(r) => self.replicas[r].watch.resume(),
            Happening::Leader(leader) => {
                self.leader = leader;
                // It has read the Lease as it took it.
                if let Some(leader) = leader {
                    self.read_lease(leader);
                }
            }
            Happening::Restart(r) => {
                self.replicas[r] = Replica::new();
                self.leader = self.leader.filter(|leader| *leader != r);
            }
            Happening::Vanish(i) => {
                if let Some((_, left)) = self.server.get(&i) {
                    self.server.delete(i);
                    self.deleted.insert(i, left);
                }
            }
            Happening::Return(i) => {
                if let Some(left) = self.deleted.remove(&i) {
                    self.server.put(i, left);
                }
            }
            Happening::Unknown(i, unknown) => self.unknown[i as usize] = unknown,
        }
    }

    fn run(&mut self, ticks: i64) {
        for _ in 0..ticks {
            self.clock.pass(TICK);
            for r in 0..self.replicas.len() {
                self.act(r);
            }
        }
    }

    fn read_lease(&mut self, r: usize) {
        let (leads, now) = (self.leader == Some(r), self.time());
        self.replicas[r].brake.take_in(self.lease.clone(), leads, now);
    }

    fn act(&mut self, r: usize) {
        // Whoever strives for the Lease reads it each second, and what is to be written is, a tick
        // after it was so.
        let leads = self.leader == Some(r);
        if self.clock.millis % 1_000 == 0 {
            self.read_lease(r);
        }
        if let Some(record) = self.replicas[r].brake.unwritten_record(leads).cloned() {
            if record.n >= self.lease.n {
                self.lease = BrakeRecord { n: record.n + 1, ..record };
            }
            self.read_lease(r);
        }
        self.replicas[r].catch_up(&self.server, self.clock.millis);
        // Each looks at them in an order of its own.
        for i in (0..OBJECTS).map(|i| (i + r as u64 * 17) % OBJECTS) {
            self.look_at(r, i);
        }
        let now = self.time();
        let Replica { brake, view, watch, .. } = &mut self.replicas[r];
        if watch.is_synced() {
            brake.observe_release(self.released, now);
            let is_there = |key: &ObjectRef| view.keys().any(|i| object(*i) == *key);
            brake.forget_gone(view.len(), is_there, now);
            brake.finish_round(view.len(), leads, now);
        }
    }

    fn look_at(&mut self, r: usize, i: u64) {
        let (leads, now, index) = (self.leader == Some(r), self.time(), i as usize);
        let replica = &mut self.replicas[r];
        let seen = match replica.view.get(&i) {
            _ if !replica.watch.is_synced() => Some(TrafficPosition::Undecided),
            // What went while a watch was broken is not always reported.
            None if i.is_multiple_of(2) => return,
            None => Some(TrafficPosition::Gone),
            Some((_, Some(left))) => Some(TrafficPosition::Left(Some(*left))),
            _ if self.unknown[index] => Some(TrafficPosition::Undecided),
            _ if self.lost[index] => None,
            _ => Some(TrafficPosition::Recovered),
        };
        if let Some(seen) = seen {
            replica.brake.sees(i, seen, now);
            replica.wanted[index] = None;
            return;
        }
        if !self.may_go(r, i) {
            return;
        }
        if !leads {
            let at = self.clock.millis;
            let since = *self.replicas[r].wanted[index].get_or_insert(at);
            let quiet = at - self.replicas[r].others_moved;
            if at - since < 1_000 || quiet < 1_000 && at - since < 10_000 {
                return;
            }
            self.read_lease(r);
            if !self.may_go(r, i) {
                return;
            }
        }
        let replica = &mut self.replicas[r];
        replica.brake.begin_move(&object(i));
        let left = Some(Timestamp::from_second(self.clock.millis / 1_000).unwrap());
        if let Ok(version) = self.server.update(i, replica.view[&i].0, left) {
            replica.view.insert(i, (version, left));
            self.moved += 1;
        }
    }

    fn may_go(&mut self, r: usize, i: u64) -> bool {
        let (now, released) = (self.time(), self.released);
        let Replica { brake, view, .. } = &mut self.replicas[r];
        brake.request_move(&object(i), &[i], view.len(), released, now) == BrakeDecision::Go
    }

    fn all_is_well(&mut self) {
        for replica in &mut self.replicas {
            replica.watch.resume();
        }
        self.unknown.fill(false);
        let leader = self.leader.unwrap_or_default();
        self.happen(Happening::Leader(Some(leader)));
    }
}

fn any_happening(replicas: usize) -> impl Strategy<Value = Happening> {
    let replica = 0..replicas;
    prop_oneof![
        3 => replica.clone().prop_map(Happening::Break),
        2 => replica.clone().prop_map(Happening::Freeze),
        4 => replica.clone().prop_map(Happening::Mend),
        3 => proptest::option::of(replica.clone()).prop_map(Happening::Leader),
        2 => replica.prop_map(Happening::Restart),
        1 => (0..OBJECTS / 2).prop_map(Happening::Vanish),
        2 => (0..OBJECTS / 2).prop_map(Happening::Return),
        1 => (0..OBJECTS, any::<bool>()).prop_map(|(i, unknown)| Happening::Unknown(i, unknown)),
    ]
}

fn any_story() -> impl Strategy<Value = (usize, Vec<(i64, Happening)>)> {
    (2_usize..=3).prop_flat_map(|replicas| {
        let story = (1_i64..80, any_happening(replicas));
        (Just(replicas), proptest::collection::vec(story, 1..40))
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 80, ..ProptestConfig::default() })]
    #[test]
    fn replicas_move_no_more_than_the_share_between_them_until_a_person_releases_it(
        (replicas, story) in any_story(),
        losses in 1_usize..4,
    ) {
        let mut world = World::new(replicas);
        // Lost in a few goes within moments.
        let mut parts = (0..losses).map(|part| {
            (0..OBJECTS as usize).filter(move |i| i % losses == part).collect::<Vec<_>>()
        });
        for part in parts.by_ref() {
            part.into_iter().for_each(|i| world.lost[i] = true);
            world.run(2);
        }
        for (ticks, happening) in &story {
            world.happen(*happening);
            world.run(*ticks);
            prop_assert!(world.moved <= SHARE, "{} moved", world.moved);
        }
        // A person releases it, and everything that is there goes.
        world.all_is_well();
        world.run(40);
        prop_assert!(world.lease.holds_since().is_some(), "{:?}", world.lease);
        world.released = Some(world.time().wall);
        world.run(40);
        let stay = world.server.list().iter().filter(|(_, (_, left))| left.is_none()).count();
        prop_assert_eq!(stay, 0);
        prop_assert_eq!(world.lease.holds_since(), None);
    }

    #[test]
    fn the_brake_ends_when_the_primaries_are_back_whatever_happened_meanwhile(
        (replicas, story) in any_story(),
    ) {
        let mut world = World::new(replicas);
        world.lost.fill(true);
        for (ticks, happening) in &story {
            world.happen(*happening);
            world.run(*ticks);
        }
        world.all_is_well();
        world.lost.fill(false);
        world.run(35_000 / TICK);
        prop_assert_eq!(world.lease.holds_since(), None);
        for replica in &world.replicas {
            prop_assert_eq!(replica.brake.engaged(), None);
        }
        // And the next loss has its share again.
        let before = world.moved;
        world.run(11_000 / TICK);
        world.lost.fill(true);
        world.run(20);
        let moved = world.moved - before;
        prop_assert!(moved <= SHARE, "{moved} moved");
    }
}

#[test]
fn a_standby_does_not_move_what_the_leader_holds() {
    let mut world = World::new(2);
    // As many as may go, and as many again a moment later.
    world.lost[..SHARE].fill(true);
    world.run(4);
    assert_eq!(world.moved, SHARE);
    world.lost[..2 * SHARE].fill(true);
    world.run(4 * 60);
    assert_eq!(world.moved, SHARE);
    let since = world.lease.holds_since().unwrap();
    assert!(since.duration_until(world.time().wall) >= SignedDuration::from_secs(59));
}
