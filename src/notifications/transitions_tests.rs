use super::*;
use crate::kinds::{Kind, ObjectKey};

fn object(name: &str) -> ObjectRef {
    ObjectRef::new(Kind::TrafficSplit, ObjectKey::new("ns", name))
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_000_000 + second).unwrap()
}

/// A replica that observes one object.
#[derive(Default)]
struct Replica(Transitions);

/// What is reported: what, when, and of which sets.
type Reported = Vec<(NotificationType, i64, Vec<String>)>;

impl Replica {
    fn observes(&mut self, positions: &[Position<'_>], leads: bool, now: i64) -> Reported {
        let observed = self.0.observe(&object("web"), "uid", positions, leads, at(now));
        let sets = |t: &Transition| t.sets.iter().map(|set| set.rule.clone()).collect();
        observed.iter().map(|t| (t.what, (t.at - at(0)).get_seconds(), sets(t))).collect()
    }
}

fn names(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

/// A set on its primary, or on its fallback, since then.
fn on<'a>(active: &'a [String], since: i64) -> Position<'a> {
    let on_primary = active.first().is_some_and(|name| name == "web");
    Position { active, since: at(since), on_primary, ..Position::default() }
}

fn one(what: NotificationType, since: i64) -> Reported {
    vec![(what, since, vec![String::new()])]
}

#[test]
fn a_leader_reports_a_failover_and_the_return_once_each() {
    let (primary, fallback) = (names(&["web"]), names(&["web-b"]));
    let mut leader = Replica::default();
    assert_eq!(leader.observes(&[on(&primary, 0)], true, 0), [], "birth is no return");
    assert_eq!(leader.observes(&[on(&fallback, 5)], true, 5), one(Failover, 5));
    assert_eq!(leader.observes(&[on(&fallback, 5)], true, 6), []);
    assert_eq!(leader.observes(&[on(&primary, 9)], true, 9), one(Return, 9));
    assert_eq!(leader.observes(&[on(&primary, 9)], true, 10), []);
    assert_eq!(leader.observes(&[on(&fallback, 11)], true, 11), one(Failover, 11));
}

#[test]
fn a_new_leader_reports_what_is_recent_with_the_same_times() {
    let (primary, fallback) = (names(&["web"]), names(&["web-b"]));
    let (mut standby, mut restarted) = (Replica::default(), Replica::default());
    for (position, now) in [(on(&fallback, 5), 5), (on(&primary, 9), 9), (on(&fallback, 12), 12)] {
        assert_eq!(standby.observes(&[position], false, now), []);
    }
    let all = [one(Failover, 5), one(Return, 9), one(Failover, 12)].concat();
    assert_eq!(standby.observes(&[on(&fallback, 12)], true, 20), all);
    assert_eq!(standby.observes(&[on(&fallback, 12)], true, 21), []);
    // One that has seen nothing goes by the record.
    assert_eq!(restarted.observes(&[on(&fallback, 12)], true, 20), one(Failover, 12));
}

/// What it had queued when it stopped leading is lost, and the leader after it may be gone too.
#[test]
fn a_leader_that_leads_again_reports_once_more_what_is_recent() {
    let fallback = names(&["web-b"]);
    let mut leader = Replica::default();
    assert_eq!(leader.observes(&[on(&fallback, 5)], true, 5), one(Failover, 5));
    assert_eq!(leader.observes(&[on(&fallback, 5)], false, 6), []);
    assert_eq!(leader.observes(&[on(&fallback, 5)], true, 7), one(Failover, 5));
    assert_eq!(leader.observes(&[on(&fallback, 5)], true, 8), []);
}

#[test]
fn an_object_whose_traffic_never_rests_is_kept_within_bounds() {
    let (primary, fallback) = (names(&["web"]), names(&["web-b"]));
    let (mut standby, all) = (Replica::default(), 4 * MOST_RECENT as i64);
    for second in 0..all {
        let active = if second % 2 == 0 { &fallback } else { &primary };
        standby.observes(&[on(active, second)], false, second);
    }
    let reported = standby.observes(&[on(&primary, all - 1)], true, all);
    let times: Vec<i64> = reported.iter().map(|(_, at, _)| *at).collect();
    assert_eq!(times, (all - MOST_RECENT as i64..all).collect::<Vec<_>>());
}

#[test]
fn what_is_long_past_is_not_reported_and_its_end_is() {
    let (primary, fallback) = (names(&["web"]), names(&["web-b"]));
    let mut leader = Replica::default();
    assert_eq!(leader.observes(&[on(&fallback, 0)], true, 3_600), []);
    leader.0.prune(at(3_600));
    assert_eq!(leader.observes(&[on(&primary, 3_700)], true, 3_700), one(Return, 3_700));
    leader.0.prune(at(9_000));
    assert!(leader.0.0.is_empty(), "nothing is kept of what is on its primary");
}

#[test]
fn nothing_ready_is_reported_as_held_once_and_moves_of_rules_at_one_time_together() {
    let (primary, fallback) = (names(&["web"]), names(&["web-b"]));
    let rule = |set: &'static str, position| Position { set, ..position };
    let mut leader = Replica::default();
    let held = Position { nothing_ready: Some(at(3)), ..on(&primary, 0) };
    assert_eq!(leader.observes(std::slice::from_ref(&held), true, 4), one(Held, 3));
    assert_eq!(leader.observes(&[held], true, 5), []);
    assert_eq!(leader.observes(&[on(&primary, 0)], true, 6), []);
    let rules =
        [rule("0", on(&fallback, 7)), rule("1", on(&fallback, 7)), rule("2", on(&fallback, 8))];
    let expected: Reported = vec![(Failover, 7, names(&["0", "1"])), (Failover, 8, names(&["2"]))];
    assert_eq!(leader.observes(&rules, true, 8), expected);
}

#[test]
fn an_object_of_the_same_name_is_another_one() {
    let (primary, fallback) = (names(&["web"]), names(&["web-b"]));
    let mut leader = Replica::default();
    assert_eq!(leader.observes(&[on(&fallback, 5)], true, 5), one(Failover, 5));
    let again = leader.0.observe(&object("web"), "other", &[on(&primary, 7)], true, at(7));
    assert_eq!(again, [], "it has not returned: it was never away");
    leader.observes(&[on(&fallback, 8)], true, 8);
    leader.0.forget(&object("web"));
    assert_eq!(leader.observes(&[on(&primary, 9)], true, 9), []);
}

#[test]
fn the_replica_that_has_moved_it_knows_where_from_and_why() {
    let fallback = names(&["web-b"]);
    let made = SetData { from: names(&["web"]), to: fallback.clone(), ..SetData::default() };
    let mut leader = Transitions::default();
    leader.observe_move(&object("web"), vec![made], "It moved.".into());
    let observed = leader.observe(&object("web"), "uid", &[on(&fallback, 5)], true, at(5));
    assert_eq!(observed[0].made.as_deref(), Some("It moved."));
    assert_eq!(observed[0].sets[0].from, ["web"]);
    // A move to elsewhere, by another replica.
    let other = names(&["web-c"]);
    let observed = leader.observe(&object("web"), "uid", &[on(&other, 6)], true, at(6));
    assert_eq!(observed[0].made, None);
    assert!(observed[0].sets[0].from.is_empty());
}
