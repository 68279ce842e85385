use super::*;
use crate::kinds::{Kind, ObjectKey};

fn key(n: usize) -> ObjectRef {
    ObjectRef::new(Kind::TrafficSplit, ObjectKey::new("ns", format!("split-{n:03}")))
}

fn fill(lanes: &mut Lanes, keys: std::ops::Range<usize>, lane: Lane, now: Instant) {
    for n in keys {
        assert!(lanes.has_room(lane, Urgency::Loss), "{n}");
        lanes.begin(&key(n), lane, Urgency::Loss, now);
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
        while lanes.has_room(Lane::Fast, Urgency::Loss) && next < count {
            lanes.begin(&key(next), Lane::Fast, Urgency::Loss, now);
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
        match lanes.has_room(Lane::Hung, Urgency::Loss) {
            true => lanes.begin(&key(n), Lane::Hung, Urgency::Loss, now),
            false => lanes.wait(&key(n), Lane::Hung, Cause::now(Urgency::Loss)),
        }
    }
    assert_eq!((lanes.len(), lanes.fast()), (HUNG, 0));
    assert!(
        lanes.has_room(Lane::Fast, Urgency::Loss) && lanes.has_room(Lane::Refused, Urgency::Loss)
    );
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
        while lanes.has_room(Lane::Fast, Urgency::Loss) {
            lanes.begin(&key(next), Lane::Fast, Urgency::Loss, now);
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
    assert!(!lanes.has_room(Lane::Fast, Urgency::Loss));
    assert_eq!(lanes.advance(start + SLOW_AFTER / 2), Advance::default());
    assert!(!lanes.is_slow(&key(0)));
    let advance = lanes.advance(start + SLOW_AFTER);
    assert_eq!((advance.slow.len(), advance.given_up.len()), (2, 0));
    assert!(lanes.has_room(Lane::Fast, Urgency::Loss) && lanes.is_slow(&key(0)));
    assert_eq!((lanes.len(), lanes.slow(), lanes.fast()), (2, 2, 0));
    assert_eq!(lanes.due(), None);
    assert_eq!(lanes.advance(start + SLOW_AFTER * 2), Advance::default(), "reported once");
}

#[test]
fn each_lane_has_places_of_its_own_and_a_line_of_its_own() {
    let (mut lanes, now) = (Lanes::new(1), Instant::now());
    fill(&mut lanes, 0..HUNG, Lane::Hung, now);
    lanes.wait(&key(900), Lane::Hung, Cause::now(Urgency::Loss));
    lanes.wait(&key(901), Lane::Refused, Cause::now(Urgency::Loss));
    lanes.wait(&key(901), Lane::Refused, Cause::now(Urgency::Loss));
    assert_eq!(lanes.take_next().unwrap().0, key(901));
    assert_eq!(lanes.take_next(), None, "the lane of those that hang is full");
    assert!(lanes.is_waiting(&key(900)));
    lanes.end(&key(0), None);
    assert_eq!(lanes.take_next().unwrap().0, key(900));
    assert!(!lanes.is_waiting(&key(900)));
    lanes.wait(&key(902), Lane::Hung, Cause::now(Urgency::Loss));
    lanes.forget_waiting();
    assert_eq!(lanes.take_next(), None);
}

#[test]
fn writes_that_nobody_waits_for_leave_half_of_the_fast_places_to_others() {
    let (mut lanes, now) = (Lanes::new(5), Instant::now());
    for n in 0..3 {
        assert!(lanes.has_room(Lane::Fast, Urgency::Change), "{n}");
        lanes.begin(&key(n), Lane::Fast, Urgency::Change, now);
    }
    for urgency in [Urgency::Change, Urgency::Correction, Urgency::Record] {
        assert!(!lanes.has_room(Lane::Fast, urgency), "{urgency:?}");
    }
    fill(&mut lanes, 3..5, Lane::Fast, now);
    assert!(!lanes.has_room(Lane::Fast, Urgency::Loss));
    lanes.end(&key(0), Some(now));
    assert!(lanes.has_room(Lane::Fast, Urgency::Loss));
}

#[test]
fn while_the_api_server_throttles_only_what_callers_wait_for_is_written() {
    let (mut lanes, now) = (Lanes::new(4), Instant::now());
    lanes.throttle(now + Duration::from_secs(2));
    lanes.throttle(now + Duration::from_secs(1));
    lanes.wait(&key(0), Lane::Refused, Cause::now(Urgency::Record));
    lanes.wait(&key(1), Lane::Refused, Cause::now(Urgency::Loss));
    assert!(lanes.has_room(Lane::Fast, Urgency::Loss));
    assert!(!lanes.has_room(Lane::Fast, Urgency::Change));
    assert_eq!(lanes.take_next().unwrap().0, key(1));
    assert_eq!(lanes.take_next(), None);
    assert_eq!(lanes.due(), Some(now + Duration::from_secs(2)), "they are looked at again then");
    lanes.advance(now + Duration::from_secs(2));
    assert_eq!(lanes.due(), None);
    assert_eq!(lanes.take_next().unwrap().0, key(0));
}

#[test]
fn in_the_line_for_a_place_the_more_urgent_goes_first() {
    let (mut lanes, now) = (Lanes::new(1), Instant::now());
    fill(&mut lanes, 0..HUNG, Lane::Hung, now);
    lanes.wait(&key(900), Lane::Hung, Cause::now(Urgency::Record));
    lanes.wait(&key(901), Lane::Hung, Cause::now(Urgency::Loss));
    lanes.end(&key(0), None);
    assert_eq!(lanes.take_next().unwrap().0, key(901));
}
