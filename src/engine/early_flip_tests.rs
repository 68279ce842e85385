use super::*;
use crate::engine::backend_index::at as at_places;
use crate::engine::decision::tests::{DOWN, Life, READY, at, split_with, was};
use crate::engine::{Announced, DecisionReason, SetState, Unknown, decide};

/// So many ready endpoints, of which some are about to be deleted until that second.
fn going(ready: u32, count: u32, until: i64) -> Health {
    let until = SteadyTime::at(until);
    let announced = (count > 0).then_some(Announced { count, until });
    Health::Seen { ready, total: ready, peak: ready, announced, ports: None }
}

fn ready(count: u32) -> Health {
    Health::seen(count, count)
}

#[test]
fn traffic_moves_before_the_last_pods_go_and_not_before_that() {
    let mut life = Life::of(&[]);
    assert_eq!(life.step(1, [going(3, 2, 30), READY, DOWN]), "a");
    assert!(life.state.left_early.is_empty());
    assert_eq!(life.step(2, [going(3, 3, 30), READY, DOWN]), "b");
    assert_eq!(life.state.left_early, ["a"]);
    // The slices follow: it is an ordinary failover from now on.
    assert_eq!(life.step(3, [DOWN, READY, DOWN]), "b");
    assert!(life.state.left_early.is_empty());
    assert_eq!(life.step(9, [READY, READY, DOWN]), "a");
}

#[test]
fn a_loss_that_does_not_come_is_taken_back_whatever_failback_says() {
    for annotations in [
        &[][..],
        &[("failback", "manual")],
        &[("failback-delay", "1h")],
        &[("primary-service", "a,c"), ("failback-delay", "1h")],
    ] {
        let mut life = Life::of(annotations);
        let before = life.step(1, [READY, READY, DOWN]);
        assert_ne!(life.step(2, [going(1, 1, 32), READY, DOWN]), before);
        assert_ne!(life.step(31, [going(1, 1, 32), READY, DOWN]), before);
        assert_eq!(life.step(32, [READY, READY, DOWN]), before, "{annotations:?}");
        assert!(life.state.left_early.is_empty() && life.state.left.is_none());
    }
}

#[test]
fn it_is_decided_again_when_the_announcement_is_no_longer_believed() {
    let intent = split_with([1, 0, 0], &[]);
    let state = was(&["a"]);
    let health = [going(1, 1, 32), READY, DOWN];
    let decision = decide(&intent, &health, Previous::undelayed(&state), at(2));
    assert_eq!(decision.next.unwrap().as_secs(), 30);
    assert!(!decision.rescue, "the leader makes it: not every replica gets the announcement");
}

#[test]
fn after_a_loss_that_came_failback_has_its_say() {
    let mut life = Life::of(&[("failback", "manual")]);
    assert_eq!(life.step(2, [going(1, 1, 32), READY, DOWN]), "b");
    assert_eq!(life.step(3, [DOWN, READY, DOWN]), "b");
    assert_eq!(life.step(9, [READY, READY, DOWN]), "b");
}

#[test]
fn a_rollout_whose_new_pod_is_seen_late_brings_traffic_back_at_once() {
    let mut life = Life::of(&[("failback", "manual")]);
    assert_eq!(life.step(2, [going(1, 1, 32), READY, DOWN]), "b");
    assert_eq!(life.step(3, [going(2, 1, 32), READY, DOWN]), "a");
}

#[test]
fn traffic_returns_only_to_what_it_left_early_and_not_to_a_primary_that_was_lost_before() {
    let order = [("failback", "manual"), ("fallback-order", "b,c")];
    let mut life = Life::of(&order);
    assert_eq!(life.step(1, [DOWN, READY, READY]), "b");
    assert_eq!(life.step(2, [DOWN, going(1, 1, 32), READY]), "c");
    assert_eq!(life.step(3, [READY, going(1, 1, 32), READY]), "c");
    assert_eq!(life.step(32, [READY, READY, READY]), "b");
}

#[test]
fn nothing_moves_early_where_the_author_or_the_fallbacks_do_not_want_it() {
    let unknown = || Health::Unknown(Unknown::NotLinked { cluster: "west".into() });
    for (annotations, fallback, why) in [
        (&[("failover-delay", "1s")][..], READY, "a delay"),
        (&[("pin", "a")], READY, "a pin"),
        (&[("paused", "true")], READY, "a pause"),
        (&[], DOWN, "nothing ready to go to"),
        (&[], unknown(), "nothing known to be ready"),
        (&[], going(2, 2, 32), "a fallback that goes as well"),
    ] {
        let intent = split_with([1, 0, 0], annotations);
        let health = [going(1, 1, 32), fallback, DOWN];
        let decision = decide(&intent, &health, Previous::undelayed(&was(&["a"])), at(2));
        assert_eq!(decision.active, [0], "{why}");
        assert!(decision.left_early.is_empty() && decision.pending.is_empty(), "{why}");
    }
}

#[test]
fn a_delay_begins_with_the_loss_and_not_with_its_announcement() {
    let mut life = Life::of(&[("failover-delay", "5s")]);
    assert_eq!(life.step(2, [going(1, 1, 32), READY, DOWN]), "a");
    assert_eq!(life.step(4, [DOWN, READY, DOWN]), "a");
    assert_eq!(life.step(8, [DOWN, READY, DOWN]), "a");
    assert_eq!(life.step(9, [DOWN, READY, DOWN]), "b");
}

#[test]
fn a_primary_below_its_minimum_is_left_early_too_and_scaling_down_moves_nothing() {
    let mut life = Life::of(&[("min-ready", "2")]);
    assert_eq!(life.step(1, [going(3, 1, 32), READY, DOWN]), "a");
    assert_eq!(life.step(2, [going(3, 2, 32), READY, DOWN]), "b");
    let mut life = Life::of(&[("min-ready", "60%")]);
    assert_eq!(life.step(1, [ready(10), READY, DOWN]), "a");
    assert_eq!(life.step(2, [going(10, 8, 32), READY, DOWN]), "a");
    assert_eq!(life.step(3, [going(10, 10, 32), READY, DOWN]), "b");
}

#[test]
fn what_is_about_to_go_gets_no_traffic_back_because_the_fallback_may_go_as_well() {
    let mut life = Life::of(&[]);
    assert_eq!(life.step(1, [going(1, 1, 31), READY, DOWN]), "b");
    assert_eq!(life.step(2, [going(1, 1, 31), going(1, 1, 32), DOWN]), "b");
    assert_eq!(life.state.left_early, ["a"]);
    // The fallback is gone first: what is still there is better than nothing.
    assert_eq!(life.step(3, [going(1, 1, 31), DOWN, DOWN]), "a");
}

#[test]
fn of_two_losses_in_a_row_each_is_taken_back() {
    let order = [("failback", "manual"), ("fallback-order", "b,c")];
    let mut life = Life::of(&order);
    assert_eq!(life.step(1, [going(1, 1, 31), READY, READY]), "b");
    assert_eq!(life.step(2, [going(1, 1, 31), going(1, 1, 32), READY]), "c");
    assert_eq!(life.state.left_early, ["a", "b"]);
    // The first comes, the second does not.
    assert_eq!(life.step(3, [DOWN, going(1, 1, 32), READY]), "c");
    assert_eq!(life.step(32, [DOWN, READY, READY]), "b");
}

#[test]
fn a_tier_that_was_passed_over_for_an_announcement_gets_the_traffic_that_it_should_have_had() {
    let order = [("failback", "manual"), ("fallback-order", "b,c")];
    let mut life = Life::of(&order);
    assert_eq!(life.step(1, [going(1, 1, 31), going(1, 1, 31), READY]), "c");
    assert_eq!(life.state.left_early, ["a", "b"]);
    assert_eq!(life.step(2, [DOWN, going(1, 1, 31), READY]), "c");
    assert_eq!(life.step(31, [DOWN, READY, READY]), "b");
}

#[test]
fn what_is_dead_already_is_left_by_any_replica_whatever_is_announced_of_others() {
    let intent = split_with([1, 0, 0], &[("fallback-order", "b,c")]);
    let state = SetState { left_early: vec!["a".into()], ..was(&["b"]) };
    let health = [going(1, 1, 32), DOWN, READY];
    let decision = decide(&intent, &health, Previous::undelayed(&state), at(2));
    assert_eq!((decision.active, decision.rescue), (at_places(&[2]), true));
}

#[test]
fn a_stay_that_a_person_ends_is_not_ended_by_an_announcement() {
    for setting in [("failback", "manual"), ("failback-delay", "1h")] {
        let mut life = Life::of(&[setting]);
        assert_eq!(life.step(1, [DOWN, READY, DOWN]), "b");
        assert_eq!(life.step(2, [READY, going(1, 1, 32), DOWN]), "b");
        assert_eq!(life.step(3, [READY, DOWN, DOWN]), "a", "the loss itself ends it");
    }
}

#[test]
fn nothing_left_anywhere_holds_what_is_there_as_if_nothing_had_been_announced() {
    let decision = decide(
        &split_with([1, 0, 0], &[]),
        &[going(1, 1, 32), going(1, 1, 32), going(1, 1, 32)],
        Previous::undelayed(&SetState { active: vec!["a".into()], ..SetState::default() }),
        at(2),
    );
    assert_eq!(
        (decision.active, decision.reason),
        (at_places(&[0]), DecisionReason::PrimaryServes)
    );
}

#[test]
fn only_an_object_that_is_neither_delayed_nor_pinned_nor_paused_flips_early() {
    for (annotations, flips) in [
        (&[][..], true),
        (&[("failback-delay", "10s")], true),
        (&[("failover-delay", "10s")], false),
        (&[("pin", "b")], false),
        (&[("paused", "true")], false),
        (&[("pin", "b"), ("pin-until", "1970-01-01T00:00:05Z")], true),
    ] {
        let intent = split_with([1, 0, 0], annotations);
        assert_eq!(flips_early(&intent, at(9)), flips, "{annotations:?}");
    }
}
