use super::*;
use crate::kinds::{Kind, ObjectKey};

pub(super) fn at(seconds: i64) -> Now {
    Now::at(Timestamp::from_second(seconds).unwrap())
}

fn second(seconds: i64) -> Option<Timestamp> {
    Some(Timestamp::from_second(seconds).unwrap())
}

pub(super) fn object(i: u64) -> ObjectRef {
    ObjectRef::new(Kind::TrafficSplit, ObjectKey::new("ns", format!("split-{i}")))
}

impl Brake {
    /// Wants to go, and goes where it may.
    fn lets_go(&mut self, i: u64, released: Option<Timestamp>, now: Now) -> bool {
        let goes = self.request_move(&object(i), &[i], 100, released, now) == BrakeDecision::Go;
        if goes {
            self.begin_move(&object(i));
        }
        goes
    }

    /// Is seen, among a hundred.
    pub(crate) fn sees(&mut self, i: u64, seen: TrafficPosition, now: Now) {
        self.observe(&object(i), seen, || vec![i], now);
    }

    /// All are seen alike, and nothing waits.
    fn sees_all(&mut self, seen: TrafficPosition, now: Now) {
        (0..100).for_each(|i| self.sees(i, seen, now));
        self.finish_round(100, true, now);
    }
}

/// A brake of 10% that holds 90 of 100 objects since the second 1,000.
fn holding() -> Brake {
    let mut brake = Brake::new(10);
    brake.sees_all(TrafficPosition::Recovered, at(900));
    let left = (0..100).filter(|i| brake.lets_go(*i, second(900), at(1_000))).count();
    assert_eq!((left, brake.engaged()), (10, second(1_000)));
    brake
}

#[test]
fn a_thousand_objects_of_one_primary_are_one_loss() {
    let mut brake = Brake::new(10);
    for i in 0..1_000 {
        assert_eq!(brake.request_move(&object(i), &[7], 1_000, None, at(1)), BrakeDecision::Go);
    }
    // As are Services that share a pod.
    let mut brake = Brake::new(10);
    let shared = |i| [i, i + 1];
    assert!(
        (0..100)
            .all(|i| brake.request_move(&object(i), &shared(i), 100, None, at(1))
                == BrakeDecision::Go)
    );
}

#[test]
fn a_thousand_that_another_replica_has_moved_off_one_primary_are_one_loss_too() {
    let mut brake = Brake::new(10);
    for seen in [TrafficPosition::Recovered, TrafficPosition::Left(None)] {
        (0..1_000).for_each(|i| brake.observe(&object(i), seen, || vec![7], at(1)));
    }
    assert_eq!(brake.request_move(&object(5_000), &[8], 2_000, None, at(2)), BrakeDecision::Go);
}

#[test]
fn beyond_the_share_nothing_leaves_until_a_person_says_so() {
    let mut brake = holding();
    assert!(!brake.lets_go(50, None, at(4_600)));
    assert!(!brake.lets_go(50, second(900), at(4_600)), "what stood there before");
    assert!(!brake.lets_go(50, second(300), at(4_600)), "meant for an earlier time");
    assert!(!brake.lets_go(50, second(4_700), at(4_600)), "not yet");
    assert!((20..100).all(|i| brake.lets_go(i, second(4_700), at(4_701))));
}

#[test]
fn a_release_by_a_slow_or_rounded_clock_frees_everything_that_waits_however_long_it_takes() {
    let mut brake = holding();
    assert!(brake.lets_go(50, second(960), at(1_040)));
    assert!((20..100).all(|i| brake.lets_go(i, second(960), at(1_040 + i as i64))));
}

#[test]
fn a_wall_clock_that_jumps_back_does_not_make_a_release_wait() {
    let mut brake = holding();
    let now = Now { wall: second(700).unwrap(), steady: crate::engine::SteadyTime::at(1_010) };
    assert!(brake.lets_go(50, second(700), now));
}

#[test]
fn a_release_frees_what_comes_within_moments_and_nothing_later() {
    let mut brake = Brake::new(10);
    let mut come = |range: std::ops::Range<u64>, released, now| {
        range.filter(|i| brake.lets_go(*i, released, now)).count()
    };
    assert_eq!(come(0..30, None, at(100)), 10);
    assert_eq!(come(30..60, second(101), at(102)), 30);
    // What was released has gone long since.
    (0..60).for_each(|i| brake.sees(i, TrafficPosition::Left(second(102)), at(103)));
    let mut come = |range: std::ops::Range<u64>, released, now| {
        range.filter(|i| brake.lets_go(*i, released, now)).count()
    };
    assert_eq!(come(60..100, second(101), at(1_000)), 10);
}

#[test]
fn what_has_gone_is_tried_again_while_the_brake_holds_the_others() {
    let mut brake = holding();
    assert!(brake.lets_go(3, None, at(1_001)), "its write failed");
}

#[test]
fn losses_one_after_the_other_are_not_held() {
    let mut brake = Brake::new(10);
    for i in 0..100 {
        let now = 20 * i as i64;
        assert!(brake.lets_go(i, None, at(now)), "{i}");
        brake.sees(i, TrafficPosition::Left(second(now)), at(now + 1));
    }
}

#[test]
fn when_the_primaries_are_back_the_brake_is_off() {
    let mut brake = holding();
    brake.sees_all(TrafficPosition::Recovered, at(1_001));
    assert_eq!(brake.engaged(), None);
}

#[test]
fn an_interrupted_watch_releases_nothing() {
    let mut brake = holding();
    let left = || (0..10).map(|i| (i, TrafficPosition::Left(second(1_000))));
    for round in 1..4 {
        // Everything is listed anew, or its primaries cannot be seen for a while.
        brake.sees_all(TrafficPosition::Undecided, at(1_000 + round * 60));
        left().for_each(|(i, seen)| brake.sees(i, seen, at(1_001 + round * 60)));
        assert!(!(10..100).any(|i| brake.lets_go(i, None, at(1_001 + round * 60))));
    }
}

#[test]
fn what_another_replica_has_moved_counts() {
    let mut brake = Brake::new(10);
    brake.sees_all(TrafficPosition::Recovered, at(1_000));
    (0..10).for_each(|i| brake.sees(i, TrafficPosition::Left(second(1_001)), at(1_001)));
    assert!(!brake.lets_go(50, None, at(1_002)));
    assert_eq!(
        brake.unwritten_record(false),
        None,
        "the leader writes, or who has moved some of it"
    );
    assert!(brake.unwritten_record(true).is_some());
}

#[test]
fn an_object_that_has_vanished_or_was_paused_does_not_keep_it_on() {
    for seen in [TrafficPosition::Gone, TrafficPosition::Withdrawn] {
        let mut brake = holding();
        (0..100).for_each(|i| brake.sees(i, seen, at(1_001)));
        brake.finish_round(if seen == TrafficPosition::Gone { 0 } else { 100 }, true, at(1_001));
        assert_eq!(brake.engaged(), None, "{seen:?}");
    }
}

#[test]
fn primaries_that_flap_give_no_new_share() {
    let mut brake = holding();
    (0..10).for_each(|i| brake.sees(i, TrafficPosition::Left(second(1_000)), at(1_001)));
    (10..100).for_each(|i| brake.sees(i, TrafficPosition::Recovered, at(1_060)));
    brake.finish_round(100, true, at(1_060));
    assert_eq!(brake.engaged(), None);
    assert!(!(10..100).any(|i| brake.lets_go(i, None, at(1_065))));
    assert_eq!(brake.engaged(), second(1_065));
}

/// What stands in the Lease once this brake has written it.
fn written(brake: &mut Brake, now: Now) -> BrakeRecord {
    let record = brake.unwritten_record(true).unwrap().clone();
    let record = BrakeRecord { n: record.n + 1, ..record };
    brake.take_in(record.clone(), true, now);
    assert_eq!(brake.unwritten_record(true), None);
    record
}

#[test]
fn a_new_leader_begins_with_what_the_one_before_it_knew() {
    let mut dead = holding();
    let record = written(&mut dead, at(1_001));
    let mut new = Brake::new(10);
    assert!(new.take_in(record, true, at(2_000)));
    (0..10).for_each(|i| new.sees(i, TrafficPosition::Left(second(1_000)), at(2_000)));
    assert!(!(10..100).any(|i| new.lets_go(i, second(900), at(2_000))), "nor by the old release");
    assert_eq!(new.engaged(), second(1_000));
    // And where the primaries are back by then, it ends it once it has seen for long enough.
    let mut new = Brake::new(10);
    new.take_in(written_by(&dead), true, at(2_000));
    new.sees_all(TrafficPosition::Recovered, at(2_001));
    assert_eq!(new.engaged(), second(1_000));
    new.sees_all(TrafficPosition::Recovered, at(2_030));
    assert_eq!(new.engaged(), None);
}

fn written_by(brake: &Brake) -> BrakeRecord {
    BrakeRecord { n: brake.record.n + 1, by: "dead".into(), ..brake.record.clone() }
}

#[test]
fn a_release_that_the_leader_took_is_taken_by_all_and_once() {
    let mut leader = holding();
    let mut standby = Brake::new(10);
    standby.take_in(written(&mut leader, at(1_001)), false, at(1_001));
    assert!(!(10..100).any(|i| standby.lets_go(i, second(900), at(1_002))));
    leader.observe_release(second(1_010), at(1_010));
    let record = written(&mut leader, at(1_010));
    assert!(standby.take_in(record.clone(), false, at(1_011)));
    assert!((10..100).all(|i| standby.lets_go(i, None, at(1_020))));
    // One that starts within moments of it goes by it, and one that starts later begins anew.
    let go = |seconds| {
        let mut new = Brake::new(10);
        new.take_in(record.clone(), true, at(seconds));
        (10..100).filter(|i| new.lets_go(*i, second(1_010), at(seconds))).count()
    };
    assert_eq!((go(1_012), go(1_100)), (90, 10));
}

#[test]
fn a_hold_here_that_has_yet_to_be_written_outlives_an_older_record_and_yields_to_another_hold() {
    let older = |n| BrakeRecord { n, ..BrakeRecord::default().engaged(at(500).wall, None) };
    let mut brake = holding();
    brake.take_in(older(4).ended(at(600).wall, None), true, at(1_001));
    assert_eq!(
        (brake.engaged(), brake.unwritten_record(true).map(|r| r.n)),
        (second(1_000), Some(4))
    );
    let other = BrakeRecord { n: 5, ..BrakeRecord::default().engaged(at(999).wall, second(900)) };
    brake.take_in(other.clone(), true, at(1_001));
    assert_eq!((brake.engaged(), brake.unwritten_record(true)), (second(999), None));
    // What is over here is not begun again by an answer that is late.
    brake.observe_release(second(1_010), at(1_010));
    brake.take_in(other, true, at(1_011));
    assert_eq!(brake.engaged(), None);
    brake.take_in(BrakeRecord { n: 2, ..BrakeRecord::default() }, true, at(1_011));
    assert!(brake.unwritten_record(true).is_some(), "the Lease is older than what it said once");
}

#[test]
fn a_leader_that_sees_nothing_does_not_end_what_a_standby_began() {
    let standby = holding();
    let record = standby.unwritten_record(false).cloned();
    let record = BrakeRecord { n: 1, ..record.expect("it has moved ten") };
    let mut blind = Brake::new(10);
    blind.take_in(record, true, at(1_001));
    blind.sees_all(TrafficPosition::Recovered, at(1_002));
    assert_eq!(blind.engaged(), second(1_000));
    (10..100).for_each(|i| assert!(!blind.lets_go(i, None, at(1_029))));
    blind.sees_all(TrafficPosition::Recovered, at(1_030));
    assert_eq!(blind.engaged(), None);
}

#[test]
fn what_a_person_lets_go_on_counts_since_it_left_and_not_since_then() {
    let mut brake = Brake::new(10);
    (0..20).for_each(|i| brake.sees(i, TrafficPosition::Withdrawn, at(1_000)));
    (0..20).for_each(|i| brake.sees(i, TrafficPosition::Left(second(500)), at(1_001)));
    assert!(brake.lets_go(50, None, at(1_002)));
}

#[test]
fn what_vanishes_as_the_lease_is_read_does_not_keep_it_on() {
    let mut brake = holding();
    written(&mut brake, at(1_001));
    (0..99).for_each(|i| brake.sees(i, TrafficPosition::Recovered, at(1_002)));
    brake.forget_gone(99, |key| *key != object(99), at(1_002));
    brake.finish_round(99, true, at(1_002));
    assert_eq!(brake.engaged(), None);
}
