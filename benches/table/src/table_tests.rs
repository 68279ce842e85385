use super::*;
use crate::bootstrap::Interval;
use crate::row::example;

fn table() -> Table {
    let memory = Row {
        title: "memory".into(),
        unit: "MiB".into(),
        ours: 33.26,
        beside: None,
        measure: Measure::Value,
        interval: Interval { low: 32.0, value: 33.26, high: 34.1 },
        ..example("memory", 0.0)
    };
    Table {
        about: "linkerd-failover 0.2.0".into(),
        rows: vec![example("fan-out-500", 1.17).aim(1.1), memory.aim(35.0).note("after start")],
        failures: vec!["takeover: no replica leads".into()],
        seconds: 612.4,
    }
}

#[test]
fn a_row_has_its_figures_its_aim_and_whether_that_is_met() {
    let expected = "\
linkerd-failover 0.2.0

                                ours  beside              interval    aim  met  rounds  note
500 splits on one primary     1.40 s  1.25 s    ×1.12 [1.05, 1.17]  ≤ 1.1   NO      12
memory                     33.3 MiB          33.3 [32.0, 34.1]   ≤ 35 MiB  yes      12  after start

FAILED takeover: no replica leads
612 s in all
";
    let squeezed = |text: &str| -> Vec<String> {
        text.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect()
    };
    assert_eq!(squeezed(&table().to_text(None)), squeezed(expected));
}

#[test]
fn rows_of_an_earlier_run_stand_beside_those_of_the_same_name() {
    let before = Table { rows: vec![example("fan-out-500", 1.41)], ..table() };
    let text = table().to_text(Some(&before));
    assert!(text.contains("interval before"));
    assert!(text.contains("×1.12 [1.05, 1.41]  ×1.12 [1.05, 1.17]"), "{text}");
}

#[test]
fn markdown_has_the_same_cells() {
    let markdown = table().to_markdown(None);
    let row =
        "| 500 splits on one primary | 1.40 s | 1.25 s | ×1.12 [1.05, 1.17] | ≤ 1.1 | NO | 12 |  |";
    assert!(markdown.contains(row), "{markdown}");
}

#[test]
fn json_is_read_as_it_was_written() {
    let table = table();
    assert_eq!(Table::from_json(&table.to_json().unwrap()).unwrap(), table);
}

#[test]
fn aims_are_claims_and_so_is_what_failed() {
    let claims = table().claims();
    let verdicts: Vec<String> = claims.iter().map(|claim| claim.verdict.to_string()).collect();
    assert_eq!(verdicts, ["MISSED", "held", "not measured"]);
}
