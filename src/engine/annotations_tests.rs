use super::*;
use crate::engine::intent::tests::{declaration, parsed};
use crate::engine::{expected_delay, tiers};
use serde_json::json;
use std::collections::BTreeSet;

const PAGE: &str = include_str!("../../docs/annotations.md");
const POLICY: &str = include_str!("../../charts/linkerd-failover/templates/admission-policy.yaml");

fn warnings(name: &str) -> Vec<String> {
    let annotations = BTreeMap::from([(name.to_owned(), String::new())]);
    without_effect(&annotations).iter().map(ToString::to_string).collect()
}

#[test]
fn a_misspelt_annotation_is_named_with_its_nearest_neighbour() {
    let warning = warnings("failover.linkerd.io/primary-servce").join("");
    assert!(warning.contains("did you mean failover.linkerd.io/primary-service?"), "{warning}");
}

#[test]
fn the_freeze_of_the_cluster_has_no_effect_on_one_object_and_says_where_it_belongs() {
    let warning = warnings(FROZEN).join("");
    assert!(warning.contains("ignored; it belongs on the namespace"), "{warning}");
}

#[test]
fn annotations_of_others_and_ours_in_use_are_not_reported() {
    assert!(warnings("example.com/primary-service").is_empty());
    assert!(of_objects().all(|name| warnings(name).is_empty()));
}

fn short(info: &AnnotationInfo) -> &'static str {
    info.name.strip_prefix(PREFIX).unwrap()
}

/// The quoted parts of a text.
fn quoted<'a>(text: &'a str, quote: &str) -> impl Iterator<Item = &'a str> {
    text.split(quote.chars().next().unwrap()).skip(1).step_by(2)
}

#[test]
fn each_annotation_has_one_row_and_a_meaning() {
    let names: BTreeSet<&str> = ALL.iter().map(|info| info.name).collect();
    assert_eq!(names.len(), ALL.len());
    assert!(ALL.iter().all(|info| info.meaning.trim().ends_with('.')));
}

#[test]
fn the_page_has_a_row_for_each_annotation_of_authors_with_its_default() {
    let table = PAGE.split("| annotation | default | meaning |\n|---|---|---|\n").nth(1).unwrap();
    let mut found = BTreeMap::new();
    for row in table.lines().take_while(|line| line.starts_with('|')) {
        let cells: Vec<&str> = row.split('|').collect();
        for name in quoted(cells[1], "`") {
            found.insert(name, cells[2]);
        }
    }
    let authors = |info: &&AnnotationInfo| {
        (info.place, info.writer) == (Place::FailoverObject, Writer::Author)
    };
    let expected: BTreeSet<&str> = ALL.iter().filter(authors).map(short).collect();
    assert_eq!(found.keys().copied().collect::<BTreeSet<_>>(), expected);
    for info in ALL.iter().filter(authors) {
        let stated = quoted(found[short(info)], "`").next();
        assert_eq!(stated, info.default, "default of {}", info.name);
    }
}

#[test]
fn the_page_names_every_other_annotation_of_people_and_of_an_objects_record() {
    for info in ALL {
        match (info.place, info.writer) {
            (Place::FailoverObject, _) => {
                assert!(PAGE.contains(&format!("`{}`", short(info))), "{}", info.name);
            }
            (_, Writer::Author) => assert!(PAGE.contains(info.name), "{}", info.name),
            _ => {}
        }
    }
}

#[test]
fn the_admission_policy_checks_what_the_table_says_and_by_the_same_syntax() {
    let rule = |line: &&str| line.contains("(printf $note ");
    let mut rules = BTreeMap::new();
    for line in POLICY.lines().filter(rule) {
        let parts: Vec<&str> = quoted(line, "\"").collect();
        rules.insert(parts[0], parts[1]);
    }
    let checked = |info: &&AnnotationInfo| info.in_policy;
    let expected: BTreeSet<&str> = ALL.iter().filter(checked).map(short).collect();
    assert_eq!(rules.keys().copied().collect::<BTreeSet<_>>(), expected);
    for info in ALL.iter().filter(checked) {
        let name = short(info);
        let has = |part: String| assert!(POLICY.contains(&part), "{name}: no {part}");
        match info.syntax {
            Syntax::Backends => {
                assert!(rules[name].starts_with("backends, each once"));
                has(format!(
                    "policyList\" (dict \"object\" . \"variable\" \"{}\" \"name\" \"{name}\")",
                    variable(name)
                ));
            }
            Syntax::Thresholds => assert_eq!(rules[name], tiers::EXPECTED),
            Syntax::Delay => {
                assert_eq!(rules[name], expected_delay());
                has(format!("\"name\" \"{name}\") }}}}"));
            }
            Syntax::OneOf(values) => {
                assert_eq!(rules[name], values.join(" or "));
                let values: Vec<String> = values.iter().map(|value| format!("'{value}'")).collect();
                has(format!("\"name\" \"{name}\" \"words\" \"[{}]\"", values.join(", ")));
            }
            Syntax::Time => has(format!("'{}' in variables", info.name)),
            Syntax::Text => panic!("{name} has no syntax to check"),
            Syntax::Record => panic!("{name} is the program's own"),
        }
    }
}

/// The CEL variable of a list of backends.
fn variable(name: &str) -> &'static str {
    match name {
        "primary-service" => "Primary",
        "fallback-order" => "Order",
        _ => "Pin",
    }
}

#[test]
fn the_admission_policy_names_no_annotation_that_is_not_in_the_table() {
    for occurrence in POLICY.split(PREFIX).skip(1) {
        let end = occurrence.find(|c: char| !c.is_ascii_lowercase() && c != '-').unwrap();
        let name = format!("{PREFIX}{}", &occurrence[..end]);
        assert!(name == PREFIX || info(&name).is_some(), "{name}");
    }
}

/// The parser takes what the syntax of a row says, and nothing else.
#[test]
fn the_parser_reads_each_annotation_by_the_syntax_of_its_row() {
    let backends = [("a", json!(1)), ("b", json!(0))];
    let reads = |name: &str, value: &str| {
        let beside = match name {
            PIN_UNTIL => vec![(name, value), (PIN, "b")],
            PAUSED_UNTIL => vec![(name, value), (PAUSED, "true")],
            _ => vec![(name, value)],
        };
        let beside = &beside[..];
        parsed(&declaration(&backends, beside)).is_ok()
    };
    for info in ALL.iter().filter(|info| info.place == Place::FailoverObject) {
        let good: &[&str] = match info.syntax {
            Syntax::Backends => &["b", " b "],
            Syntax::Thresholds => &["2", "50%", "a=2,b=50%"],
            Syntax::Delay => &["0s", "1h30m"],
            Syntax::OneOf(values) => values,
            Syntax::Time => &["2026-01-31T14:30:00Z"],
            // What cannot be read of it is decided again.
            Syntax::Text | Syntax::Record => continue,
        };
        assert!(good.iter().all(|value| reads(info.name, value)), "{}", info.name);
        assert!(!reads(info.name, "neither of these"), "{}", info.name);
    }
}

#[test]
fn the_lists_of_authors_are_backends_and_thresholds() {
    let lists: Vec<&str> = lists().collect();
    assert_eq!(lists, [PRIMARY_SERVICE, FALLBACK_ORDER, MIN_READY, PIN]);
}
