//! Pages of the documentation, held against what they are about.

use crate::checks::table::{CHECKS, Check};
use crate::events::EventReason;
use docs_pages::links::anchor;
use docs_pages::repository;
use std::collections::BTreeSet;

/// A file of the repository.
fn read(path: &str) -> String {
    repository::read(&repository::root(), path).unwrap()
}

/// The part of a page under a heading of the second level, and the headings of the third in it.
fn part<'a>(page: &'a str, heading: &str) -> (&'a str, Vec<&'a str>) {
    let begin = format!("\n## {heading}\n");
    let part = page.split(&begin).nth(1).unwrap_or_else(|| panic!("no heading {heading}"));
    let part = part.split("\n## ").next().unwrap_or_default();
    (part, part.lines().filter_map(|line| line.strip_prefix("### ")).collect())
}

#[test]
fn every_reason_of_an_event_has_one_heading_in_the_runbook_and_no_other_has() {
    let page = read("docs/runbook.md");
    let (text, headings) = part(&page, "Events");
    let reasons: Vec<&str> = EventReason::ALL.iter().map(|reason| reason.as_str()).collect();
    assert_eq!(headings, reasons, "the headings under Events, in the order of EventReason");
    for of_reason in text.split("\n### ").skip(1) {
        for must in ["**Meaning.**", "**Do.**"] {
            assert!(of_reason.contains(must), "{must} is missing: {of_reason}");
        }
    }
}

#[test]
fn the_runbook_leads_to_the_heading_of_every_check() {
    let page = read("docs/runbook.md");
    let (text, _) = part(&page, "Checks");
    let linked: Vec<&str> =
        text.lines().filter_map(|line| line.strip_prefix("- ")).map(str::trim).collect();
    let line = |check: &Check| format!("[{}](checks.md#{})", check.description, check.anchor);
    let wanted: Vec<String> = CHECKS.iter().map(line).collect();
    assert_eq!(linked, wanted, "needed:\n- {}", wanted.join("\n- "));
}

#[test]
fn every_anchor_of_the_runbook_leads_to_one_heading() {
    let page = read("docs/runbook.md");
    let headings: Vec<String> = page
        .lines()
        .filter_map(|line| line.strip_prefix("##"))
        .map(|heading| anchor(heading.trim_start_matches('#')))
        .collect();
    let distinct: BTreeSet<&String> = headings.iter().collect();
    assert_eq!(distinct.len(), headings.len(), "two headings have one anchor: {headings:?}");
    for linked in page.split("](#").skip(1).filter_map(|rest| rest.split(')').next()) {
        assert!(headings.iter().any(|heading| heading == linked), "#{linked} is no heading");
    }
}

#[test]
fn the_page_of_the_architecture_has_every_room_and_no_file_that_is_not_there() {
    let page = read("docs/architecture.md");
    let map = read("src/lib.rs");
    let rooms = map.lines().filter_map(|line| line.strip_prefix("//! - [`")?.split('`').next());
    let listed = page.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next());
    assert_eq!(listed.collect::<Vec<_>>(), rooms.collect::<Vec<_>>());
    for path in page.split('`').filter(|text| text.starts_with("src/")) {
        assert!(repository::root().join(path).exists(), "{path}");
    }
}
