use super::*;
use crate::row::{Measure, example};
use std::fs::read_to_string;
use std::path::Path;

fn figures() -> Figures {
    let grown = |id: &str, size: &str| Row {
        unit: "MiB".into(),
        measure: Measure::Value,
        beside: None,
        ..example(&at_rest_id(id, size), 1.4)
    };
    let at_rest = AT_REST.iter().flat_map(|(id, _)| SIZES.map(|size| grown(id, size)));
    let table = Table {
        rows: at_rest.chain([example("fan-out-500", 1.17).aim(1.1), after_events()]).collect(),
        ..Table::default()
    };
    let claims = Claims {
        command: "bench".into(),
        commit: "0123456789ab".into(),
        machine: "2 CPUs (AMD EPYC)".into(),
        conditions: vec![],
        claims: table.claims(),
    };
    Figures { claims, table, micro: None }
}

/// No size: it is beside 50,000, after the events.
fn after_events() -> Row {
    Row { title: "resident memory after events".into(), ..example("growing-resident-events", 1.4) }
}

#[test]
fn the_page_has_what_was_to_be_kept_what_grows_and_everything_else_once() {
    let page = figures().page();
    assert!(page.contains("| 500 splits on one primary | ≤ 1.1 | ×1.12 [1.05, 1.17] | MISSED |"));
    assert!(page.contains("| resident memory after start | 1.40 MiB | 1.40 MiB |"), "{page}");
    let everything = page.split_once("## Everything").unwrap().1;
    assert!(everything.contains("| 500 splits on one primary | 1.40 s | 1.25 s |"), "{page}");
    assert!(!everything.contains("MiB"));
    assert!(everything.contains("| resident memory after events |"), "{page}");
}

#[test]
fn without_all_sizes_there_is_no_table_of_them() {
    let mut figures = figures();
    figures.table.rows.remove(0);
    assert!(!figures.page().contains("## At rest"));
}

#[test]
fn the_page_of_the_documentation_is_that_of_its_json() {
    let docs = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs"));
    let json = read_to_string(docs.join("figures.json")).unwrap();
    let figures: Figures = serde_json::from_str(&json).unwrap();
    let page = read_to_string(docs.join("figures.md")).unwrap();
    assert_eq!(page, figures.page(), "`make figures` makes docs/figures.md");
}
