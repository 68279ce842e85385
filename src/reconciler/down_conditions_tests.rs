use super::*;
use crate::engine::{
    Defaults, DownUntil, Now, Previous, RecordedDown, RecordedDowns, SetState, decide, in_force,
};
use crate::kinds::Kind;
use crate::simulation::manifest;

fn at(second: i64) -> Now {
    Now::at(Timestamp::from_second(second).unwrap())
}

fn intent() -> Intent {
    let split = serde_json::from_value(manifest::split(&[("web", 1), ("web-west", 0)])).unwrap();
    Intent::parse(&Kind::TrafficSplit.read(&split), &Defaults::default()).unwrap().remove(0)
}

fn declared(until: i64) -> Health {
    let (until, why) = (at(until).wall, "by hand".into());
    let (basis, seen) = (DownBasis::Declared, Health::seen(2, 2));
    Health::DeclaredDown(Box::new(DownUntil { until, why, basis, by_person: true, seen }))
}

/// The sentences about this health at this time.
fn sentences(health: &[Health], state: Option<&SetState>, second: i64) -> Vec<String> {
    let (intent, now, delays) = (intent(), at(second), Default::default());
    let health = in_force(&intent, health, state, now.wall);
    let previous = state.map_or(Previous::Live, |state| Previous::Decided(state, &delays));
    let decision = decide(&intent, &health, previous, now);
    let conditions = of_set(&intent, &health, &decision);
    let pin = |backend: &str| format!("pin {backend}");
    conditions.iter().map(|(condition, healths)| condition.describe(healths, pin)).collect()
}

/// Traffic has left web at 1000 for 600 seconds.
fn away() -> SetState {
    let down = RecordedDown { since: at(1_000).wall, least: 600, returned: None, person: true };
    SetState {
        active: vec!["web-west".into()],
        down: RecordedDowns::from([("web".into(), down)]),
        ..SetState::default()
    }
}

#[test]
fn traffic_that_stays_on_what_is_declared_down_is_reported_with_the_health_of_the_others() {
    let none_ready = [declared(60), Health::seen(0, 3)];
    insta::assert_snapshot!(sentences(&none_ready, None, 0).join("\n"), @"Traffic stays on web, which counts as declared down, because no other backend is ready: web: declared down until 1970-01-01T00:01:00Z (by hand), 2 of 2 endpoints ready, web-west: 0 of 3 endpoints ready");
    assert!(sentences(&[declared(60), Health::seen(1, 3)], None, 0).is_empty(), "it leaves");
}

#[test]
fn traffic_that_stays_off_for_longer_than_is_declared_is_reported_with_its_end_and_the_way_back() {
    let up = || Health::seen(2, 2);
    for web in [up(), declared(1_300)] {
        insta::allow_duplicates! {
            insta::assert_snapshot!(sentences(&[web, up()], Some(&away()), 1_200).join("\n"), @"Traffic stays off web until 1970-01-01T00:26:40Z because it was declared down again within 10 minutes of its return, whatever is declared now: it stays away for twice as long each time. It returns at once by: pin web");
        }
    }
    assert!(
        sentences(&[declared(1_700), up()], Some(&away()), 1_200).is_empty(),
        "so it is declared"
    );
    assert!(sentences(&[up(), up()], Some(&away()), 1_600).is_empty(), "it returns");
}

#[test]
fn while_the_move_itself_is_due_it_says_until_when() {
    let returned = RecordedDown { returned: Some(at(1_100).wall), ..away().down["web"].clone() };
    let state = SetState {
        active: vec!["web".into()],
        down: RecordedDowns::from([("web".into(), returned)]),
        ..SetState::default()
    };
    assert!(sentences(&[declared(1_300), Health::seen(2, 2)], Some(&state), 1_200).is_empty());
}
