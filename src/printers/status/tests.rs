//! `status` in all formats.

use super::document::{to_json, to_yaml};
use super::goal::Goal;
use super::line::{StatusLine, lines};
use super::tables::{Columns, to_table};
use crate::checks::report::Colour;
use crate::printers::test_support::{later, world};
use crate::snapshot::row::ObjectRow;
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
            json!(["torn", null, []]),
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
    assert_eq!(there(Goal::Primary), ["calm", "httproute/web[api]"]);
    assert_eq!(there(Goal::Fallback), ["emoji", "httproute/web[#1]"]);
    // `emoji` returns in 42 s, `due` moves now.
    let settled = ["calm", "hurt", "moved", "httproute/web[api]", "httproute/web[#1]"];
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
