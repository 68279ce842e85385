use super::*;
use crate::engine::decision::tests::{Life, at, split_with, was};
use crate::engine::{Announced, DecisionReason, Previous, decide};
use crate::engine::{Health, SetState};

/// A port with so many endpoints, all ready, all of which offer these others too.
fn port(number: u16, ready: u32, with: &[u32]) -> Port {
    let with = with.iter().fold(0, |set, place| set | 1 << place);
    let name = match number {
        80 => "web",
        81 => "adm",
        _ => "log",
    };
    Port {
        number,
        name: name.into(),
        ready,
        total: ready,
        peak: ready,
        served: ready > 0,
        with,
        ..Port::default()
    }
}

/// One that was served, with these others, and is no more.
fn lost(number: u16, with: &[u32]) -> Port {
    Port { served: true, ..port(number, 0, with) }
}

fn seen(ports: &[Port]) -> Health {
    let endpoints = ports.iter().map(|port| port.total).sum();
    Health::of_ports(Ports::new(ports.to_vec(), endpoints), None)
}

fn counts(ports: &[Port]) -> Vec<(u32, Option<String>)> {
    let health = seen(ports);
    health.counts().iter().map(|c| (c.ready, c.port.map(str::to_owned))).collect()
}

fn is_ready(ports: &[Port]) -> bool {
    seen(ports).is_ready()
}

#[test]
fn a_backend_is_as_ready_as_the_least_port_that_it_has_been_seen_to_serve() {
    let two = [port(80, 3, &[]), port(81, 1, &[])];
    assert_eq!(counts(&two), [(3, Some("web".into())), (1, Some("adm".into()))]);
    let Health::Seen { ready, total, .. } = seen(&two) else { panic!() };
    assert_eq!((ready, total), (1, 1));
    // One that was never served counts for nothing.
    assert_eq!(counts(&[port(80, 3, &[]), port(81, 0, &[])]), [(3, None)]);
    assert!(!is_ready(&[port(80, 3, &[]), lost(81, &[])]));
}

#[test]
fn where_nothing_has_been_seen_yet_any_asked_port_will_do() {
    assert!(!is_ready(&[port(80, 0, &[]), port(81, 0, &[])]));
    assert!(is_ready(&[port(80, 0, &[]), port(81, 1, &[])]));
}

#[test]
fn a_port_whose_last_endpoints_served_another_that_goes_on_went_with_a_release() {
    let released = [port(80, 2, &[]), lost(81, &[0])];
    assert!(is_ready(&released));
    assert_eq!(Ports::new(released.to_vec(), 2).released(), [("adm", "web")]);
    // All pods are gone at once: it is a loss, and either port brings the backend back.
    assert!(!is_ready(&[lost(80, &[1]), lost(81, &[0])]));
    assert!(is_ready(&[port(80, 1, &[]), lost(81, &[0])]));
    assert!(is_ready(&[lost(80, &[1]), port(81, 1, &[])]));
    // One release after the other: the third port speaks for both.
    let twice = [lost(80, &[1]), lost(81, &[2]), port(90, 1, &[])];
    assert!(is_ready(&twice));
}

#[test]
fn while_a_rollout_adds_or_removes_a_port_it_is_counted_by_those_that_its_pods_serve_too() {
    // Three pods, one of which offers the second port already, or still.
    assert_eq!(counts(&[port(80, 3, &[]), port(81, 1, &[0])]), [(3, None)]);
}

#[test]
fn what_is_short_is_reported_with_the_port() {
    for (ports, text) in [
        (vec![port(80, 2, &[]), lost(81, &[])], "2 endpoints, none offers port adm"),
        (vec![port(80, 1, &[]), lost(81, &[])], "1 endpoint, none offers port adm"),
        (vec![lost(80, &[]), lost(81, &[])], "no endpoints"),
        (vec![port(80, 2, &[]), port(81, 0, &[])], "2 of 2 endpoints ready, none offers port adm"),
        (
            vec![port(80, 2, &[]), Port { total: 3, ..lost(81, &[]) }],
            "0 of 3 endpoints of port adm ready",
        ),
    ] {
        assert_eq!(seen(&ports).to_string(), text);
    }
    let two_workers = Ports::new(vec![port(80, 0, &[])], 2);
    assert_eq!(
        Health::of_ports(two_workers, None).to_string(),
        "2 endpoints, none offers port web"
    );
}

#[test]
fn only_what_another_port_could_hide_is_remembered() {
    let short = |ports: &[Port]| Ports::new(ports.to_vec(), 9).short();
    assert_eq!(short(&[port(80, 2, &[]), lost(81, &[])]), [["adm"]]);
    // All pods of one application: as long as they are gone nothing is ready.
    assert!(short(&[lost(80, &[1]), lost(81, &[0])]).is_empty());
    assert_eq!(short(&[lost(80, &[1]), lost(81, &[0]), port(90, 1, &[])]), [["web", "adm"]]);
    assert!(short(&[port(80, 2, &[]), lost(81, &[0])]).is_empty(), "a release");
    assert!(short(&[lost(80, &[])]).is_empty());
}

#[test]
fn a_record_counts_until_one_of_its_ports_is_ready_or_it_is_no_longer_asked_for() {
    let adm = vec![vec!["adm".to_owned()]];
    let remember = |ports: &[Port], short: &[Vec<String>]| {
        let mut health = seen(ports);
        health.remember(short);
        health.remember(short);
        health.is_ready()
    };
    let restarted = [port(80, 2, &[]), port(81, 0, &[])];
    assert!(is_ready(&restarted));
    assert!(!remember(&restarted, &adm));
    assert!(remember(&[port(80, 2, &[]), port(81, 1, &[])], &adm));
    assert!(remember(&[port(80, 2, &[])], &adm));
    let both = vec![vec!["adm".to_owned(), "log".to_owned()]];
    assert!(!remember(&[port(80, 2, &[]), port(81, 0, &[]), port(90, 0, &[])], &both));
    assert!(remember(&[port(80, 2, &[]), port(81, 0, &[]), port(90, 1, &[])], &both));
}

#[test]
fn with_more_ports_than_are_looked_at_nothing_breaks() {
    let many: Vec<Port> = (0..300).map(|i| port(i, 1, &[])).collect();
    assert!(is_ready(&many));
    assert_eq!(Ports::new(many, 300).counts().len(), MOST_PORTS);
}

const NONE: &[(&str, &str)] = &[];

fn all_ports() -> Health {
    seen(&[port(80, 2, &[]), port(81, 1, &[])])
}

fn without_adm() -> Health {
    seen(&[port(80, 2, &[]), lost(81, &[])])
}

/// It has no such port, or never served it.
fn web_only() -> Health {
    seen(&[port(80, 2, &[]), port(81, 0, &[])])
}

fn dead() -> Health {
    seen(&[lost(80, &[]), lost(81, &[])])
}

/// The table of rules: health of primary a and fallbacks b and c, what was active, what becomes
/// active.
#[test]
fn a_lost_port_moves_traffic_only_to_what_serves_it_and_all_that_is_left() {
    let adm_only = || seen(&[lost(80, &[]), port(81, 1, &[])]);
    for (health, before, active) in [
        ([without_adm(), all_ports(), dead()], "a", vec![1]),
        ([without_adm(), web_only(), all_ports()], "a", vec![2]),
        // None that serves it, or at the price of another.
        ([without_adm(), web_only(), dead()], "a", vec![0]),
        ([without_adm(), adm_only(), dead()], "a", vec![0]),
        ([without_adm(), without_adm(), dead()], "a", vec![0]),
        ([without_adm(), Health::Missing, dead()], "a", vec![0]),
        // With nothing left there is nothing to lose.
        ([dead(), web_only(), dead()], "a", vec![1]),
        ([dead(), adm_only(), dead()], "a", vec![1]),
        // The fallback that has the traffic loses a port.
        ([dead(), without_adm(), web_only()], "b", vec![1]),
        ([dead(), without_adm(), all_ports()], "b", vec![2]),
        ([without_adm(), without_adm(), dead()], "b", vec![1]),
        ([all_ports(), without_adm(), dead()], "b", vec![0]),
    ] {
        let intent = split_with([1, 0, 0], &[("fallback-order", "b,c")]);
        let decision = decide(&intent, &health, Previous::undelayed(&was(&[before])), at(1_000));
        assert_eq!(decision.active, active, "{health:?} after {before}");
        let again = SetState { active: decision.names(&intent), ..was(&[before]) };
        let again = decide(&intent, &health, Previous::undelayed(&again), at(1_001));
        assert_eq!(again.active, active, "it stays there");
    }
}

#[test]
fn a_loss_is_not_forgotten_by_a_process_that_begins_after_it() {
    let mut life = Life::of(NONE);
    assert_eq!(life.step(1, [without_adm(), all_ports(), dead()]), "b");
    assert_eq!(life.state.short["a"], [["adm"]]);
    // A new process has seen nothing before.
    assert_eq!(life.step(2, [web_only(), all_ports(), dead()]), "b");
    assert_eq!(life.step(3, [all_ports(), all_ports(), dead()]), "a");
    assert!(!life.state.short.contains_key("a"));
    assert_eq!(life.step(4, [web_only(), all_ports(), dead()]), "a");
}

#[test]
fn what_cannot_be_seen_for_a_while_is_as_short_as_it_was() {
    let mut life = Life::of(NONE);
    assert_eq!(life.step(1, [without_adm(), all_ports(), dead()]), "b");
    let unseen = Health::Unknown(crate::engine::Unknown::NotYet);
    assert_eq!(life.step(2, [unseen, all_ports(), dead()]), "b");
    assert_eq!(life.step(3, [web_only(), all_ports(), dead()]), "b");
}

#[test]
fn a_primary_that_is_short_and_stays_is_explained() {
    let health = [without_adm(), web_only(), dead()];
    let intent = split_with([1, 0, 0], NONE);
    let decision = decide(&intent, &health, Previous::Live, at(1));
    assert_eq!(
        (&decision.active, decision.reason),
        (&crate::engine::backend_index::at(&[0]), DecisionReason::NothingCovers)
    );
    insta::assert_snapshot!(decision.explain(&intent, &health),
        @"no other backend serves what is lost and all that is left, a: 2 endpoints, none offers port adm, b: 2 of 2 endpoints ready, none offers port adm, c: no endpoints");
    let needs = crate::engine::write_need(&intent, Previous::Live, &decision);
    assert_eq!(needs, crate::engine::WriteNeed::Record, "a restart must not forget it");
}

#[test]
fn a_percentage_and_its_record_are_of_each_port() {
    let some = |web: (u32, u32), adm: (u32, u32)| {
        let port = |number: u16, (ready, total): (u32, u32)| Port {
            total,
            peak: total,
            ..port(number, ready, &[])
        };
        seen(&[port(80, web), port(81, adm)])
    };
    let mut life = Life::of(&[("min-ready", "60%")]);
    assert_eq!(life.step(1, [some((6, 10), (2, 2)), all_ports(), dead()]), "a");
    assert_eq!(life.step(2, [some((6, 10), (1, 2)), all_ports(), dead()]), "b");
    assert_eq!(life.state.peaks, Peaks::from([("a#adm".into(), 2)]));
    assert_eq!(life.step(3, [some((6, 10), (2, 2)), all_ports(), dead()]), "a");
    assert_eq!(life.step(4, [some((5, 10), (2, 2)), all_ports(), dead()]), "b");
    assert_eq!(life.state.peaks, Peaks::from([("a#web".into(), 10)]));
}

#[test]
fn numbers_alone_are_no_reason_to_give_up_a_port() {
    let few = || seen(&[port(80, 1, &[]), port(81, 1, &[])]);
    let annotations = [("min-ready", "2"), ("fallback-order", "b,c")];
    let begun = || Life {
        intent: split_with([1, 0, 0], &annotations),
        state: was(&["a"]),
        pending: crate::engine::PendingDelays::new(),
    };
    let mut life = begun();
    assert_eq!(life.step(1, [few(), web_only(), dead()]), "a");
    assert_eq!(life.step(2, [few(), web_only(), all_ports()]), "c");
    // The ports of one application come together: a fallback that lacks one of them is none the less
    // a fallback, as it was before.
    let few = || seen(&[port(80, 1, &[1]), port(81, 1, &[0])]);
    assert_eq!(begun().step(1, [few(), web_only(), dead()]), "b");
}

#[test]
fn a_backend_is_left_early_for_a_port_that_only_announced_pods_serve() {
    let until = crate::engine::SteadyTime::at(30);
    let going = |adm: Port| {
        let announced = Some(Announced { count: 1, until });
        let ports = Ports::new(vec![port(80, 2, &[]), adm], 3);
        Health::of_ports(ports, announced)
    };
    let mut life = Life::of(NONE);
    let last = || going(Port { announced: 1, ..port(81, 1, &[]) });
    assert_eq!(life.step(1, [last(), web_only(), dead()]), "a");
    assert_eq!(life.step(2, [last(), all_ports(), dead()]), "b");
    assert_eq!(life.state.left_early, ["a"]);
    assert_eq!(life.step(31, [all_ports(), all_ports(), dead()]), "a");
    let one_of_two = going(Port { announced: 1, ..port(81, 2, &[]) });
    assert_eq!(life.step(32, [one_of_two, all_ports(), dead()]), "a");
}

#[test]
fn a_port_that_goes_and_comes_with_a_delay_waits_for_it() {
    let mut life = Life::of(&[("failover-delay", "10s"), ("failback-delay", "5s")]);
    assert_eq!(life.step(1, [without_adm(), all_ports(), dead()]), "a");
    assert_eq!(life.step(10, [without_adm(), all_ports(), dead()]), "a");
    assert_eq!(life.step(11, [without_adm(), all_ports(), dead()]), "b");
    assert_eq!(life.step(20, [all_ports(), all_ports(), dead()]), "b");
    assert_eq!(life.step(25, [all_ports(), all_ports(), dead()]), "a");
    // Held past the delay for want of a refuge, and left once there is one.
    assert_eq!(life.step(30, [without_adm(), web_only(), dead()]), "a");
    assert_eq!(life.step(50, [without_adm(), web_only(), dead()]), "a");
    assert_eq!(life.step(51, [without_adm(), all_ports(), dead()]), "b");
}

#[test]
fn a_released_port_is_named_with_one_that_its_endpoints_served() {
    // The first port has ready endpoints too, and had nothing to do with it.
    let ports = [port(80, 2, &[]), lost(81, &[2]), port(90, 1, &[])];
    assert_eq!(Ports::new(ports.to_vec(), 3).released(), [("adm", "log")]);
    let alone = [port(80, 2, &[]), lost(81, &[])];
    assert!(Ports::new(alone.to_vec(), 2).released().is_empty());
}

#[test]
fn what_was_seen_of_ports_is_the_same_without_what_is_announced() {
    let announced = Port { announced: 2, ..port(80, 2, &[]) };
    let health = |port: Port, announced: Option<Announced>| {
        Health::of_ports(Ports::new(vec![port], 2), announced)
    };
    let deletion = Announced { count: 2, until: at(9).steady };
    let seen = health(announced.clone(), Some(deletion));
    assert_eq!(seen.as_seen(), health(port(80, 2, &[]), None));
    assert!(seen.as_seen().is_ready() && !seen.without_announced().is_ready());
}

#[test]
fn of_ports_that_always_come_together_the_first_stands_for_all() {
    let ports = [port(80, 2, &[1]), port(81, 2, &[0]), port(90, 1, &[])];
    assert_eq!(counts(&ports), [(2, Some("web".into())), (1, Some("log".into()))]);
    // One that was never served stands for none.
    assert_eq!(counts(&[port(80, 2, &[1]), port(81, 0, &[])]), [(2, None)]);
}

#[test]
fn traffic_returns_past_a_primary_that_lacks_endpoints_and_has_lost_no_port() {
    let mut life = Life::of(&[("fallback-order", "b,c"), ("min-ready", "a=2")]);
    let (dead, ready) = (|| Health::seen(0, 1), || Health::seen(1, 1));
    assert_eq!(life.step(1, [dead(), dead(), ready()]), "c");
    let too_few = || seen(&[port(80, 1, &[]), port(81, 1, &[])]);
    let web_only = seen(&[port(80, 1, &[])]);
    assert_eq!(life.step(2, [too_few(), web_only, ready()]), "b");
}

#[test]
fn traffic_returns_past_a_primary_that_has_lost_a_port_to_a_backend_that_serves_all_its_ports() {
    let (dead, ready) = (|| Health::seen(0, 1), || Health::seen(1, 1));
    let short = || seen(&[port(80, 1, &[]), lost(81, &[])]);
    let both = || seen(&[port(80, 1, &[]), port(81, 1, &[])]);
    let web_only = || seen(&[port(80, 1, &[])]);
    for (b, active) in [(both(), "b"), (web_only(), "c")] {
        let mut life = Life::of(&[("fallback-order", "b,c")]);
        assert_eq!(life.step(1, [dead(), dead(), ready()]), "c");
        assert_eq!(life.step(2, [short(), b, ready()]), active);
    }
}

#[test]
fn every_port_that_is_lost_is_named_with_those_that_always_came_with_it() {
    let names = |ports: &[Port]| -> Vec<String> {
        Ports::new(ports.to_vec(), 9).lost_names().into_iter().map(str::to_owned).collect()
    };
    assert!(names(&[port(80, 2, &[]), port(81, 1, &[])]).is_empty());
    assert_eq!(names(&[port(80, 2, &[]), lost(81, &[])]), ["adm"]);
    assert_eq!(names(&[lost(80, &[1]), lost(81, &[0]), port(90, 1, &[])]), ["web", "adm"]);
    assert!(names(&[port(80, 2, &[]), lost(81, &[0])]).is_empty(), "a release");
}

#[test]
fn a_port_that_no_endpoint_offers_is_not_one_whose_endpoints_are_not_ready() {
    let unready = || Port { total: 1, ..port(90, 0, &[]) };
    let ports = [port(80, 0, &[]), lost(81, &[]), unready()];
    assert_eq!(Ports::new(ports.to_vec(), 1).never_served(), ["web"]);
    let offer_nothing = |ports: Vec<Port>, endpoints| Ports::new(ports, endpoints).offer_nothing();
    assert!(offer_nothing(vec![port(80, 0, &[]), lost(81, &[])], 1));
    assert!(!offer_nothing(vec![port(80, 0, &[]), lost(81, &[])], 0));
    assert!(!offer_nothing(vec![port(80, 0, &[]), unready()], 1));
    assert!(!offer_nothing(vec![port(80, 1, &[]), lost(81, &[])], 1));
}

#[test]
fn ports_are_one_class_only_where_each_always_came_with_the_other() {
    let classes = |ports: &[Port]| Ports::new(ports.to_vec(), 9).classes().collect::<Vec<_>>();
    assert_eq!(classes(&[lost(80, &[1]), lost(81, &[0])]), [[80, 81]]);
    assert_eq!(classes(&[lost(80, &[]), lost(81, &[])]), [[80], [81]]);
    // The pods of the second served the first too, and not the reverse.
    assert_eq!(classes(&[lost(80, &[]), lost(81, &[0])]), [[80]]);
    assert_eq!(classes(&[port(80, 1, &[]), port(81, 1, &[0])]), [[80]]);
}

#[test]
fn ports_that_are_recorded_together_are_lost_together() {
    for group in [&["adm", "log"][..], &["adm", "adm", "log"]] {
        let mut ports = Ports::new(vec![port(80, 1, &[]), port(81, 0, &[]), port(90, 0, &[])], 1);
        ports.remember(&[group.iter().map(|name| (*name).to_owned()).collect()]);
        assert_eq!(ports.short(), [["adm", "log"]]);
    }
}

#[test]
fn only_what_is_gone_is_released_and_only_by_what_goes_on() {
    let released = |ports: &[Port]| -> Vec<(String, String)> {
        let ports = Ports::new(ports.to_vec(), 9);
        let owned = |(gone, by): (&str, &str)| (gone.to_owned(), by.to_owned());
        ports.released().into_iter().map(owned).collect()
    };
    let by_log = [("adm".to_owned(), "log".to_owned())];
    assert_eq!(released(&[lost(80, &[]), lost(81, &[0, 2]), port(90, 1, &[])]), by_log);
    assert!(released(&[port(80, 2, &[1]), port(81, 2, &[0])]).is_empty());
    assert!(released(&[port(80, 2, &[]), port(81, 0, &[0])]).is_empty(), "it was never served");
}

#[test]
fn only_the_ports_that_are_short_are_named_and_the_only_port_is_not() {
    let text = |ports: Vec<Port>, endpoints| Ports::new(ports, endpoints).to_string();
    assert_eq!(text(vec![port(80, 1, &[]), port(81, 0, &[])], 1), "");
    let lost_and_never_served = vec![lost(80, &[]), port(81, 0, &[])];
    assert_eq!(text(lost_and_never_served, 2), "2 endpoints, none offers port web");
    let nothing_served_yet = vec![port(80, 0, &[]), port(81, 0, &[])];
    assert_eq!(text(nothing_served_yet, 2), "2 endpoints, none offers port web or adm");
    let unready = Port { total: 3, ..lost(80, &[]) };
    assert_eq!(text(vec![unready], 3), "0 of 3 endpoints ready");
}
