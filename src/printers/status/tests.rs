//! `status` in all formats.

use super::document::{to_json, to_yaml};
use super::goal::Goal;
use super::line::{StatusLine, lines};
use super::tables::{Columns, to_table};
use crate::checks::report::Colour;
use crate::printers::test_support::{frozen_world, later, world};
use crate::snapshot::row::ObjectRow;
use crate::snapshot::test_support::{snapshot, split, state};
use serde_json::{Value, json};

fn table(columns: Columns, colour: Colour) -> String {
    let (_, rows, now) = world();
    to_table(&rows, columns, colour, now)
}

fn only(name: &str) -> Vec<ObjectRow> {
    let (_, mut rows, _) = world();
    rows.retain(|row| row.object.name() == name);
    rows
}

#[test]
fn the_table_has_a_line_for_each_set_as_kubectl_has_lines() {
    insta::assert_snapshot!(table(Columns::default(), Colour::None));
}

#[test]
fn the_wide_table_of_all_namespaces_has_more_columns() {
    insta::assert_snapshot!(table(Columns { namespace: true, wide: true }, Colour::None));
}

#[test]
fn a_frozen_cluster_shows_who_froze_it_and_why() {
    let snapshot = frozen_world();
    let now = snapshot.now.wall;
    let mut rows = snapshot.rows();
    let objects: Vec<Value> = serde_json::from_str(&to_json(&rows, now).unwrap()).unwrap();
    let by = json!({"person": "carol", "action": "freeze", "at": "2026-11-26T02:59:30Z",
        "reason": "an incident"});
    let frozen = json!({"until": "2026-11-26T04:00:00Z", "by": by});
    assert!(objects.iter().all(|object| object["frozen"] == frozen));
    rows.retain(|row| ["due", "calm", "hurt"].contains(&row.object.name()));
    insta::assert_snapshot!(to_table(&rows, Columns::default(), Colour::None, now));
}

#[test]
fn what_people_have_written_does_not_break_a_table_and_does_not_control_a_terminal() {
    let by = json!({"v": 1, "person": "alice\u{9b}31m", "action": "pause",
        "at": "2026-11-26T02:00:00Z", "set": {"paused": "true"},
        "reason": "one\ntwo \u{1b}]0;owned\u{7}\u{202e}\u{9b}2J Wartung 東京 🚧"});
    let annotations = [("paused", "true"), ("changed-by", &by.to_string())];
    let split = split(&[("emoji-svc", 1), ("emoji-svc-west", 0)], &annotations);
    let snapshot = snapshot(&[split]);
    let (rows, now) = (snapshot.rows(), snapshot.now.wall);
    let wide = Columns { namespace: true, wide: true };
    let table = to_table(&rows, wide, Colour::None, now);
    assert_eq!(table.lines().count(), 2, "{table}");
    assert!(
        table.contains("paused by alice 31m: one two  ]0;owned  2J Wartung 東京 🚧"),
        "{table}"
    );
    for text in [table, to_json(&rows, now).unwrap(), to_yaml(&rows, now).unwrap()] {
        let obeyed = |c: char| c != '\n' && (c.is_control() || c == '\u{202e}');
        assert!(!text.contains(obeyed), "{text:?}");
    }
}

#[test]
fn json_has_nothing_that_a_terminal_obeys_and_means_the_same() {
    let state = state(&["emoji-svc"], 30, json!({"why": "\u{9b}2J\u{1b}[2J\u{7f}"}));
    let split = split(&[("emoji-svc", 1), ("emoji-svc-west", 0)], &[("state", &state)]);
    let snapshot = snapshot(&[split]);
    let json = to_json(&snapshot.rows(), snapshot.now.wall).unwrap();
    assert!(!json.contains(|c: char| c.is_control() && c != '\n'), "{json:?}");
    let read: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(read[0]["sets"][0]["why"], "\u{9b}2J\u{1b}[2J\u{7f}");
}

#[test]
fn colour_marks_what_the_traffic_is_on_and_nothing_else() {
    let (plain, coloured) =
        (table(Columns::default(), Colour::None), table(Columns::default(), Colour::Terminal));
    assert!(coloured.contains("\u{1b}[33mfallback\u{1b}[0m"), "{coloured}");
    assert!(coloured.contains("\u{1b}[31mheld\u{1b}[0m"), "{coloured}");
    let mut stripped = coloured;
    for code in ["31", "32", "33", "36", "0"] {
        stripped = stripped.replace(&format!("\u{1b}[{code}m"), "");
    }
    assert_eq!(stripped, plain);
}

#[test]
fn json_keeps_the_keys_of_0_1_and_adds_ours() {
    let (_, rows, now) = world();
    let json = to_json(&rows, now).unwrap();
    insta::assert_snapshot!(json);
    let array: Vec<Value> = serde_json::from_str(&json).unwrap();
    let of_01 = |object: &Value| json!([object["name"], object["status"], object["services"]]);
    let of_01: Vec<Value> = array.iter().map(of_01).collect();
    assert_eq!(
        of_01,
        [
            json!(["calm", "primary", ["emoji-svc"]]),
            json!(["due", "primary", ["down-svc"]]),
            json!(["emoji", "fallback", ["emoji-svc-west"]]),
            json!(["held", "primary", ["down-svc"]]),
            json!(["hurt", "primary", ["down-svc"]]),
            json!(["moved", "fallback", ["emoji-svc-west"]]),
            json!(["sick", "fallback", ["emoji-svc-west"]]),
            json!(["torn", null, []]),
            json!(["warm", "primary", ["emoji-svc", "emoji-svc-west"]]),
            json!(["web", "fallback", ["web-svc", "web-svc-west"]]),
        ]
    );
}

#[test]
fn yaml_is_the_same_document() {
    let (_, rows, now) = world();
    let yaml = to_yaml(&rows, now).unwrap();
    let read: Value = serde_saphyr::from_str(&yaml).unwrap();
    let json: Value = serde_json::from_str(&to_json(&rows, now).unwrap()).unwrap();
    assert_eq!(read, json);
    insta::assert_snapshot!(to_yaml(&only("emoji"), now).unwrap());
}

#[test]
fn an_object_is_where_it_is_waited_for_once_no_move_is_due() {
    let (_, rows, _) = world();
    let there = |goal: Goal| -> Vec<String> {
        let missed: Vec<String> = goal.missed(lines(&rows)).iter().map(StatusLine::name).collect();
        let all = lines(&rows).map(|line| line.name());
        all.filter(|name| !missed.contains(name)).map(|n| n.replace("trafficsplit/", "")).collect()
    };
    assert_eq!(there(Goal::Primary), ["calm", "warm", "httproute/web[api]"]);
    assert_eq!(there(Goal::Fallback), ["emoji", "sick", "httproute/web[#1]"]);
    // `emoji` returns in 42 s, `due` moves now.
    let settled =
        ["calm", "hurt", "moved", "sick", "warm", "httproute/web[api]", "httproute/web[#1]"];
    assert_eq!(there(Goal::Settled), settled);
    let missed = Goal::Primary.missed(lines(&rows));
    insta::assert_snapshot!(Goal::shortfall(&missed));
    insta::assert_snapshot!(Goal::shortfall(&Goal::Primary.missed(lines(&only("moved")))));
}

#[test]
fn what_runs_goes_on_without_another_look() {
    let (snapshot, ..) = world();
    let (rows, now) = later(snapshot, 20);
    let line = lines(&rows).find(|line| line.name() == "trafficsplit/emoji").unwrap();
    assert_eq!(super::tables::next(line.next()), "returns to emoji-svc in 22s");
    assert_eq!(line.next()[0].at(now).unwrap().to_string(), "2026-11-26T03:00:42Z");
}
