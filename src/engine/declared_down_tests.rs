use super::*;
use crate::engine::annotations;
use crate::engine::decide::decide;
use crate::engine::intent::tests::{declaration, parsed};
use crate::engine::{
    Decision, DecisionReason, Now, PendingDelays, Previous, RecordedDowns, Unknown,
};
use jiff::SignedDuration;
use serde_json::json;

fn at(second: i64) -> Now {
    Now::at(Timestamp::from_second(1_000_000 + second).unwrap())
}

/// An intent of primary `a`, then `b`, then `c`, with these annotations.
fn intent(with: &[(&'static str, &str)]) -> Intent {
    let backends = [("a", json!(1)), ("b", json!(0)), ("c", json!(0))];
    let order = [(annotations::FALLBACK_ORDER, "b,c")];
    let all: Vec<_> = order.iter().chain(with).copied().collect();
    parsed(&declaration(&backends, &all)).unwrap()
}

fn up() -> Health {
    Health::seen(2, 2)
}

fn declared(seen: Health, until: i64, by_person: bool) -> Health {
    let until = at(until).wall;
    let (why, basis) = ("drill".into(), DownBasis::Declared);
    Health::DeclaredDown(Box::new(DownUntil { until, why, basis, by_person, seen }))
}

/// `a` is declared down, for so long.
fn a_down(until: i64) -> [Health; 3] {
    [declared(up(), until, true), up(), up()]
}

fn live(intent: &Intent, health: &[Health]) -> Decision {
    decide(intent, health, Previous::Live, at(0))
}

#[test]
fn a_declared_one_is_left_at_once_whatever_the_delay_and_returns_when_its_time_is_over() {
    let intent = intent(&[(annotations::FAILOVER_DELAY, "5m")]);
    let left = live(&intent, &a_down(60));
    assert_eq!(left.names(&intent), ["b"]);
    assert_eq!(left.next, Some(SignedDuration::from_secs(60)));
    assert!(!left.rescue, "it is the leader's alone");
    let state = left.state(&intent, &a_down(60), at(0));
    assert!(state.why.contains("a: declared down until 1970-01-12T13:47:40Z (drill), 2 of 2"));
    let back = decide(&intent, &[up(), up(), up()], Previous::undelayed(&state), at(60));
    assert_eq!(back.names(&intent), ["a"]);
    assert_eq!(back.down["a"].returned, Some(at(60).wall));
}

#[test]
fn the_order_is_ready_then_declared_down_with_endpoints_then_nothing_ready() {
    let (dead, gone) = (|| Health::seen(0, 2), || Health::Missing);
    let unknown = || Health::Unknown(Unknown::NotYet);
    let down = |seen| declared(seen, 60, false);
    for (health, expected, reason) in [
        ([down(up()), dead(), up()], "c", DecisionReason::FallbackServes),
        ([down(up()), down(up()), up()], "c", DecisionReason::FallbackServes),
        ([down(up()), down(up()), dead()], "a", DecisionReason::OnlyDeclaredDownLeft),
        ([dead(), down(up()), down(up())], "b", DecisionReason::OnlyDeclaredDownLeft),
        ([down(up()), unknown(), gone()], "a", DecisionReason::OnlyDeclaredDownLeft),
        ([down(dead()), down(up()), unknown()], "b", DecisionReason::OnlyDeclaredDownLeft),
        ([down(dead()), unknown(), dead()], "b", DecisionReason::OnlyUnknownLeft),
        ([down(dead()), down(dead()), dead()], "a", DecisionReason::NothingReady),
        ([down(unknown()), up(), up()], "b", DecisionReason::FallbackServes),
    ] {
        let intent = intent(&[]);
        let decision = live(&intent, &health);
        assert_eq!((decision.names(&intent).join(","), decision.reason), (expected.into(), reason));
    }
}

#[test]
fn a_fallback_below_its_minimum_is_no_reason_to_leave() {
    let intent = intent(&[(annotations::MIN_READY, "b=3,c=3")]);
    assert_eq!(live(&intent, &a_down(60)).names(&intent), ["a"]);
}

#[test]
fn a_pin_wins_over_a_declaration() {
    let intent = intent(&[(annotations::PIN, "a")]);
    assert_eq!(live(&intent, &a_down(60)).names(&intent), ["a"]);
}

#[test]
fn where_traffic_does_not_leave_nothing_is_recorded() {
    let intent = intent(&[]);
    let fallback = [up(), declared(up(), 60, true), up()];
    assert!(live(&intent, &fallback).down.is_empty());
    let only = [declared(up(), 60, true), Health::Missing, Health::Missing];
    assert!(live(&intent, &only).down.is_empty());
}

#[test]
fn a_manual_stay_is_not_over_before_a_person_ends_it_and_only_then_the_ten_minutes_begin() {
    let intent = intent(&[(annotations::FAILBACK, "manual")]);
    let state = live(&intent, &a_down(60)).state(&intent, &a_down(60), at(0));
    let stays = decide(&intent, &[up(), up(), up()], Previous::undelayed(&state), at(5_000));
    assert_eq!(stays.names(&intent), ["b"]);
    assert!(stays.down["a"].is_away(), "traffic could not return yet");
}

#[test]
fn a_backend_that_is_dead_when_its_declaration_ends_is_no_longer_declared_down() {
    let intent = intent(&[]);
    let state = live(&intent, &a_down(60)).state(&intent, &a_down(60), at(0));
    let health = [Health::seen(0, 2), up(), up()];
    let still = decide(&intent, &health, Previous::undelayed(&state), at(60));
    assert_eq!(still.down["a"].returned, Some(at(60).wall));
}

#[test]
fn declared_down_again_it_stays_away_longer_and_says_until_when() {
    let intent = intent(&[]);
    let first =
        RecordedDown { since: at(0).wall, least: 0, returned: Some(at(300).wall), person: false };
    let state = SetState {
        active: vec!["a".into()],
        down: RecordedDowns::from([("a".into(), first)]),
        ..SetState::default()
    };
    let again = [declared(up(), 430, false), up(), up()];
    let left = decide(&intent, &again, Previous::undelayed(&state), at(400));
    assert_eq!(left.down["a"].least, 600);
    assert_eq!(left.next, Some(SignedDuration::from_secs(600)), "and not when its time is over");
    let known = in_force(&intent, &again, Some(&state), at(400).wall);
    let state = left.state(&intent, &known, at(400));
    let none = PendingDelays::new();
    let decided =
        |second| decide(&intent, &[up(), up(), up()], Previous::Decided(&state, &none), at(second));
    assert_eq!(decided(999).names(&intent), ["b"]);
    assert_eq!(decided(1_000).names(&intent), ["a"]);
    let stays = "a: stays away until 1970-01-12T14:03:20Z because it was declared down again within 10 minutes of its return (drill), 2 of 2 endpoints ready";
    assert!(state.why.starts_with(stays), "{}", state.why);
    let known = [up(), up(), up()];
    let known = in_force(&intent, &known, Some(&state), at(430).wall);
    insta::assert_snapshot!(known[0], @"stays away until 1970-01-12T14:03:20Z because it was declared down again within 10 minutes of its return, 2 of 2 endpoints ready");
}

#[test]
fn one_that_is_declared_down_again_before_traffic_returns_to_it_stays_away_no_longer() {
    let intent = intent(&[]);
    let first =
        RecordedDown { since: at(0).wall, least: 0, returned: Some(at(434).wall), person: false };
    let state = SetState {
        active: vec!["b".into()],
        down: RecordedDowns::from([("a".into(), first)]),
        ..SetState::default()
    };
    let again = [declared(up(), 435, false), up(), up()];
    let stays = decide(&intent, &again, Previous::undelayed(&state), at(434));
    assert_eq!(stays.names(&intent), ["b"]);
    assert_eq!(stays.next, Some(SignedDuration::from_secs(1)), "when its time is over");
    let known = in_force(&intent, &again, Some(&state), at(434).wall);
    assert_eq!(known[0], again[0]);
}

#[test]
fn a_standby_sees_what_the_leader_has_recorded_and_no_clock_of_its_own() {
    let intent = intent(&[]);
    assert_eq!(as_recorded(&intent, &a_down(60), None), [up(), up(), up()]);
    let state = live(&intent, &a_down(60)).state(&intent, &a_down(60), at(0));
    for health in [a_down(60), [up(), up(), up()]] {
        let seen = as_recorded(&intent, &health, Some(&state));
        for second in [0, 59, 60, 10_000] {
            let decision = decide(&intent, &seen, Previous::undelayed(&state), at(second));
            assert_eq!((decision.names(&intent), &decision.down), (vec!["b".into()], &state.down));
        }
    }
    let seen = as_recorded(&intent, &[up(), up(), up()], Some(&state));
    assert_eq!(
        seen[0].to_string(),
        "declared down, as the leader has recorded, 2 of 2 endpoints ready"
    );
    // But it leaves what is dead.
    let dead = [up(), Health::seen(0, 2), Health::Missing];
    let seen = as_recorded(&intent, &dead, Some(&state));
    let decision = decide(&intent, &seen, Previous::undelayed(&state), at(30));
    assert_eq!((decision.names(&intent), decision.rescue), (vec!["a".into()], true));
}

#[test]
fn it_counts_as_a_persons_only_while_traffic_is_away_for_it() {
    let intent = intent(&[]);
    let by = |by_person| live(&intent, &[declared(up(), 60, by_person), up(), up()]);
    assert!(by(true).is_by_person(&intent) && !by(false).is_by_person(&intent));
    let state = by(true).state(&intent, &a_down(60), at(0));
    let back = decide(&intent, &[up(), up(), up()], Previous::undelayed(&state), at(60));
    assert!(!back.is_by_person(&intent));
}

#[test]
fn a_standby_without_a_record_ignores_declarations_only_of_what_has_the_traffic() {
    let intent = intent(&[]);
    let down = || declared(up(), 60, true);
    let seen = as_recorded(&intent, &[down(), down(), up()], None);
    assert_eq!(seen, [up(), down(), up()]);
}

#[test]
fn a_declaration_that_lasts_as_long_as_the_stay_is_not_called_prolonged() {
    let intent = intent(&[]);
    let recorded = RecordedDown { since: at(0).wall, least: 60, returned: None, person: true };
    let state = SetState {
        active: vec!["b".into()],
        down: RecordedDowns::from([("a".to_owned(), recorded)]),
        ..SetState::default()
    };
    for (until, is_prolonged) in [(59, true), (60, false), (61, false)] {
        let health = in_force(&intent, &a_down(until), Some(&state), at(1).wall).into_owned();
        let basis = health[0].declared().unwrap().basis;
        assert_eq!(basis == DownBasis::Prolonged, is_prolonged, "{until}");
        assert_eq!(health[0].declared().unwrap().until, at(until.max(60)).wall);
    }
}
