use super::*;
use crate::snapshot::test_support::{service, snapshot, split, state};
use serde_json::json;

/// Two ready of two, or none of two, of the primary and of its fallback.
fn row(ready: [usize; 2], annotations: &[(&str, &str)]) -> ObjectRow {
    let services = [service("emoji-svc", ready[0], 2), service("emoji-svc-west", ready[1], 2)];
    let split = split(&[("emoji-svc", 1), ("emoji-svc-west", 0)], annotations);
    let manifests: Vec<_> = services.into_iter().flatten().chain([split]).collect();
    snapshot(&manifests).rows().remove(0)
}

fn pin(backend: &str) -> Action {
    Action::Pin { backends: vec![backend.into()] }
}

fn refused(action: &Action, row: &ObjectRow, force: bool) -> Option<String> {
    let Refusal { found, expected, next } = check(action, row, force).err()?;
    Some(format!("{found} | {expected} | {next}"))
}

#[test]
fn traffic_is_pinned_to_what_is_ready_and_with_force_to_anything() {
    let west = pin("emoji-svc-west");
    assert_eq!(refused(&west, &row([2, 2], &[]), false), None);
    insta::assert_snapshot!(refused(&west, &row([2, 0], &[]), false).unwrap(), @"emoji-svc-west, 0 of 2 endpoints ready | a backend that is known to be ready | callers would get errors; --force sends the traffic there all the same");
    assert_eq!(refused(&west, &row([2, 0], &[]), true), None);
}

#[test]
fn what_is_no_backend_is_refused_with_its_nearest_neighbour_force_or_not() {
    let row = row([2, 2], &[]);
    insta::assert_snapshot!(refused(&pin("emoji-svc-wst"), &row, true).unwrap(), @r#"the backend "emoji-svc-wst" | one of its backends, emoji-svc, emoji-svc-west | did you mean emoji-svc-west?"#);
    let other = refused(&pin("web"), &row, false).unwrap();
    assert!(other.contains("name one of its backends"), "{other}");
}

#[test]
fn a_failback_is_requested_where_it_is_waited_for_and_the_primary_is_ready() {
    let action = Action::Failback;
    let automatic = refused(&action, &row([2, 2], &[]), false).unwrap();
    assert!(automatic.starts_with("an object that returns by itself"), "{automatic}");
    let away = state(&["emoji-svc-west"], 30, json!({"left": "2026-11-26T02:59:30Z"}));
    let manual = [("failback", "manual"), ("state", away.as_str())];
    assert_eq!(refused(&action, &row([2, 2], &manual), false), None);
    let down = row([0, 2], &manual);
    let refusal = refused(&action, &down, false).unwrap();
    assert!(refusal.contains("0 of 2 endpoints ready"), "{refusal}");
    assert_eq!(refused(&action, &down, true), None);
}

#[test]
fn pauses_and_what_takes_something_back_need_nothing() {
    let down = row([0, 0], &[]);
    for action in [Action::Pause, Action::Resume, Action::Unpin] {
        assert_eq!(refused(&action, &down, false), None, "{action:?}");
    }
}

#[test]
fn a_pin_that_cannot_take_effect_now_is_made_with_a_warning() {
    let frozen = Stopped { frozen: true, ..Stopped::default() };
    let row = |annotations: &[(&str, &str)]| row([2, 2], annotations);
    let west = pin("emoji-svc-west");
    assert!(hindrances(&west, &row(&[]), Stopped::default()).is_empty());
    let both = hindrances(&west, &row(&[("paused", "true")]), frozen);
    assert!(both[0].contains("resume") && both[1].contains("unfreeze"), "{both:?}");
    assert!(hindrances(&Action::Pause, &row(&[]), frozen).is_empty());
}
