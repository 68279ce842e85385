use super::*;
use crate::snapshot::test_support::{service, snapshot, split};

const FALLBACK: &str = "emoji-svc-west";

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + seconds).unwrap()
}

/// Pinned at 0, for five minutes.
fn drill() -> Drill {
    Drill::begun(FALLBACK.into(), at(0), at(300))
}

fn seen(on_fallback: bool) -> Facts {
    Facts {
        pin: Some(FALLBACK.into()),
        pin_until: Some(at(300).to_string()),
        on_fallback,
        endpoints: Some((2, 2)),
        is_ready: true,
        others: BTreeSet::new(),
    }
}

fn look(on_fallback: bool) -> Look {
    Look::Seen(seen(on_fallback))
}

/// On the fallback after two seconds.
fn on() -> Drill {
    let mut drill = drill();
    assert_eq!(drill.step(&look(false), at(1), false), Step::Wait);
    assert_eq!(drill.step(&look(true), at(2), false), Step::Wait);
    drill
}

#[test]
fn a_drill_goes_comes_back_at_its_end_and_says_what_it_saw() {
    let mut drill = on();
    assert_eq!(drill.moved_after(), Some(SignedDuration::from_secs(2)));
    let fewer = Facts { endpoints: Some((1, 2)), others: ["helm".into()].into(), ..seen(true) };
    assert_eq!(drill.step(&Look::Seen(fewer), at(100), false), Step::Wait);
    assert_eq!(drill.step(&look(true), at(299), false), Step::Wait);
    assert_eq!(drill.step(&look(true), at(300), false), Step::Unpin(Why::Over));
    drill.unpinned(Why::Over, at(301));
    assert!(drill.is_moving());
    assert_eq!(drill.step(&look(true), at(301), false), Step::Wait);
    let back = Facts { pin: None, pin_until: None, endpoints: Some((0, 2)), ..seen(false) };
    assert_eq!(drill.step(&Look::Seen(back), at(302), false), Step::Done);
    let after = Some(SignedDuration::from_secs(1));
    assert_eq!(drill.end(), Some(End::Returned(Why::Over, after)));
    insta::assert_snapshot!(drill.report().join("\n"), @r"
    traffic was on emoji-svc-west 2.0s after the pin
    emoji-svc-west had at least 1 ready endpoints, of 2 then
    the object was changed meanwhile by helm
    traffic had left emoji-svc-west 1.0s after the pin was taken off
    ");
}

#[test]
fn a_drill_is_called_back_before_its_end_for_each_of_these() {
    let weak = Look::Seen(Facts { is_ready: false, endpoints: None, ..seen(true) });
    for (case, look, now, interrupted, step) in [
        ("nothing", look(true), 10, false, Step::Wait),
        ("Ctrl-C", look(true), 10, true, Step::Unpin(Why::Interrupted)),
        ("a fallback that weakens", weak.clone(), 10, false, Step::Unpin(Why::Weakened)),
        ("Ctrl-C says more than what is seen", weak, 10, true, Step::Unpin(Why::Interrupted)),
        ("no answer", Look::Unseen, 10, false, Step::Wait),
        ("no answer, and Ctrl-C", Look::Unseen, 10, true, Step::Unpin(Why::Interrupted)),
        ("no answer until the end", Look::Unseen, 300, false, Step::Unpin(Why::Over)),
        ("the object is gone", Look::Gone, 10, false, Step::Done),
    ] {
        assert_eq!(on().step(&look, at(now), interrupted), step, "{case}");
    }
}

#[test]
fn what_others_write_to_the_pin_stays_as_they_wrote_it() {
    let theirs = [
        (None, None),
        (Some("emoji-svc-north"), Some(at(300).to_string())),
        (Some(FALLBACK), None),
        (Some(FALLBACK), Some(at(900).to_string())),
    ];
    for (pin, pin_until) in theirs {
        let mut drill = on();
        let facts = Facts { pin: pin.map(str::to_owned), pin_until, ..seen(true) };
        assert_eq!(drill.step(&Look::Seen(facts), at(10), true), Step::Done);
        assert_eq!(drill.end(), Some(End::TakenOver));
    }
    // The same time, written otherwise.
    let until = Some(at(300).to_string().replace('Z', "+00:00"));
    let facts = Look::Seen(Facts { pin_until: until, ..seen(true) });
    assert_eq!(on().step(&facts, at(10), false), Step::Wait);
}

#[test]
fn a_pin_that_changes_while_it_is_taken_off_is_somebody_elses() {
    let mut drill = on();
    assert_eq!(drill.step(&look(true), at(300), false), Step::Unpin(Why::Over));
    drill.taken_over();
    assert_eq!(drill.step(&look(true), at(301), false), Step::Done);
    assert_eq!(drill.end(), Some(End::TakenOver));
}

#[test]
fn traffic_that_does_not_move_is_called_back_and_not_waited_for_for_ever() {
    let mut drill = drill();
    assert_eq!(drill.step(&look(false), at(60), false), Step::Wait);
    assert_eq!(drill.step(&look(false), at(61), false), Step::Unpin(Why::NotMoved));
    drill.unpinned(Why::NotMoved, at(62));
    assert_eq!(drill.step(&look(false), at(62), false), Step::Done);

    let mut stuck = on();
    stuck.unpinned(Why::Interrupted, at(10));
    assert_eq!(stuck.step(&Look::Unseen, at(70), false), Step::Wait);
    assert_eq!(stuck.step(&look(true), at(71), false), Step::Done);
    assert_eq!(stuck.end(), Some(End::Returned(Why::Interrupted, None)));
    let report = stuck.report().join("\n");
    assert!(report.contains("the pin ends by itself at"), "{report}");
    assert_eq!(stuck.step(&look(true), at(72), false), Step::Done);
}

fn row(ready: [usize; 3], annotations: &[(&str, &str)]) -> ObjectRow {
    let names = ["emoji-svc", "emoji-svc-west", "emoji-svc-north"];
    let services = names.iter().zip(ready).flat_map(|(name, ready)| service(name, ready, 2));
    let split = split(&[(names[0], 1), (names[1], 0), (names[2], 0)], annotations);
    let manifests: Vec<_> = services.chain([split]).collect();
    snapshot(&manifests).rows().remove(0)
}

fn chosen(row: &ObjectRow, to: Option<&str>) -> Result<String, String> {
    let found = candidate(row, Stopped::default(), Some(true), to);
    found.map(|found| found.fallback).map_err(|refusal| refusal.found)
}

#[test]
fn the_fallback_that_an_outage_would_use_is_drilled_unless_another_is_named() {
    let order = [("fallback-order", "emoji-svc-north,emoji-svc-west")];
    assert_eq!(chosen(&row([2, 2, 2], &[]), None).unwrap(), "emoji-svc-west");
    assert_eq!(chosen(&row([2, 2, 2], &order), None).unwrap(), "emoji-svc-north");
    assert_eq!(chosen(&row([2, 2, 0], &order), None).unwrap(), "emoji-svc-west");
    assert_eq!(chosen(&row([2, 2, 2], &[]), Some("emoji-svc-north")).unwrap(), "emoji-svc-north");
}

#[test]
fn a_drill_that_could_hurt_is_refused() {
    let none = chosen(&row([2, 0, 0], &[]), None).unwrap_err();
    insta::assert_snapshot!(none, @"no fallback that is ready (emoji-svc-west: 0 of 2 endpoints ready; emoji-svc-north: 0 of 2 endpoints ready)");
    let named = chosen(&row([2, 0, 2], &[]), Some("emoji-svc-west")).unwrap_err();
    assert!(named.contains("0 of 2"), "{named}");
    let few = chosen(&row([2, 2, 2], &[("min-ready", "emoji-svc-west=3")]), Some("emoji-svc-west"));
    assert!(few.is_err(), "{few:?}");
    assert!(chosen(&row([2, 2, 2], &[]), Some("emoji-svc")).unwrap_err().contains("emoji-svc"));
    for (annotation, on) in [(("paused", "true"), "paused"), (("pin", "emoji-svc"), "pinned")] {
        let refused = chosen(&row([2, 2, 2], &[annotation]), None).unwrap_err();
        assert!(refused.contains(on), "{refused}");
    }
    let lost = chosen(&row([0, 2, 2], &[]), None).unwrap_err();
    assert!(lost.contains("about to move (moves to emoji-svc-west"), "{lost}");
    let lasts = chosen(&row([0, 2, 2], &[("failover-delay", "1h")]), None).unwrap_err();
    assert!(lasts.contains("about to move (leaves emoji-svc in"), "{lasts}");
    let frozen = Stopped { frozen: true, ..Stopped::default() };
    let ready = row([2, 2, 2], &[]);
    assert!(candidate(&ready, frozen, Some(true), None).is_err());
    let unled = candidate(&ready, Stopped::default(), Some(false), None).unwrap_err();
    assert_eq!(unled.found, "no replica that leads");
    assert!(candidate(&ready, Stopped::default(), None, None).is_ok(), "that is not known");
}

#[test]
fn a_fallback_that_is_declared_down_is_not_drilled() {
    let mut manifests: Vec<_> = service("emoji-svc", 2, 2).into();
    let [mut west, slice] = service("emoji-svc-west", 2, 2);
    let until = "2026-11-26T04:00:00Z";
    west["metadata"]["annotations"] = serde_json::json!({"failover.linkerd.io/down-until": until});
    manifests.extend([west, slice, split(&[("emoji-svc", 1), ("emoji-svc-west", 0)], &[])]);
    let refused = chosen(&snapshot(&manifests).rows().remove(0), None).unwrap_err();
    assert!(
        refused.contains("no fallback that is ready (emoji-svc-west: declared down"),
        "{refused}"
    );
}
