//! Annotations of failover objects, as authors write them.

use super::records;
use super::source::Source;
use serde_json::{Map, Value, json};

pub(crate) const PREFIX: &str = "failover.linkerd.io/";

/// What the values of an annotation are made of.
pub(crate) struct Parts {
    pub(crate) name: &'static str,
    pub(crate) parts: &'static [&'static str],
}

const NAMES: &[&str] = &[
    "web",
    "web-west",
    ",",
    "web-east",
    "store",
    ", ",
    "web:80",
    " ",
    "\u{a0}",
    "\t",
    "gone",
    "other/web",
    "web-west:8080",
    "WEB",
    ":",
];
const UNITS: &[&str] = &[
    "0",
    "s",
    "1",
    "m",
    "h",
    "59",
    "168",
    ".",
    "ms",
    "us",
    "n",
    "ns",
    "-",
    " ",
    "+",
    "604800",
    "99999999999999999999",
    "1h30m",
    "90s",
];
const NEEDS: &[&str] = &[
    "1",
    "web",
    "=",
    "web-west",
    ",",
    "0",
    "%",
    " ",
    "100",
    "50%",
    "4294967296",
    "007",
    "+",
    "=50%",
    "web-east",
];
const WORDS: &[&str] =
    &["true", "false", "manual", "automatic", "standard", "seamless", " ", "True", "yes", "t", ""];
const TIMES: &[&str] = &[
    "2999-01-31T14:30:00Z",
    "2001-01-31T14:30:00Z",
    "2026-01-31",
    "T",
    "14:30:00",
    "Z",
    "+01:00",
    "1970-01-12T13:46:40Z",
    "1970-01-12T13:46:41Z",
    " ",
    "t",
    "z",
    ".5",
    "-00:00",
    "60",
    "99999",
    "[Europe/Paris]",
    "24:00",
];

/// Those that an author writes.
pub(crate) const AUTHORS: &[Parts] = &[
    Parts { name: "primary-service", parts: NAMES },
    Parts { name: "fallback-order", parts: NAMES },
    Parts { name: "pin", parts: NAMES },
    Parts { name: "min-ready", parts: NEEDS },
    Parts { name: "failover-delay", parts: UNITS },
    Parts { name: "failback-delay", parts: UNITS },
    Parts { name: "failback", parts: WORDS },
    Parts { name: "warm-standby", parts: WORDS },
    Parts { name: "protection", parts: WORDS },
    Parts { name: "paused", parts: WORDS },
    Parts { name: "pin-until", parts: TIMES },
    Parts { name: "paused-until", parts: TIMES },
    Parts { name: "failback-requested", parts: TIMES },
];

/// A value of an annotation: mostly one or a few parts.
pub(crate) fn value(source: &mut Source<'_>, of: &Parts) -> String {
    match source.below(4) {
        0 | 1 => (*source.pick(of.parts)).to_owned(),
        2 => source.text(of.parts, 3),
        _ => source.text(of.parts, 9),
    }
}

/// Few annotations of an author, so that many documents are right.
pub(crate) fn of_author(source: &mut Source<'_>) -> Map<String, Value> {
    let mut all = Map::new();
    for _ in 0..source.below(4) {
        let of = source.pick(AUTHORS);
        all.insert(format!("{PREFIX}{}", of.name), json!(value(source, of)));
    }
    all
}

/// The same, and what programs write.
pub(crate) fn of_object(source: &mut Source<'_>) -> Map<String, Value> {
    let mut all = of_author(source);
    if source.one_in(3) {
        all.insert(format!("{PREFIX}state"), json!(records::state(source).to_string()));
    }
    if source.one_in(3) {
        all.insert(
            format!("{PREFIX}authored-weights"),
            json!(records::authored(source).to_string()),
        );
    }
    if source.one_in(6) {
        let others = ["added", "changed-by", "down-until", "unknown", "primary-servce", "judge"];
        let values = [
            "",
            "{}",
            "{",
            "[]",
            r#"{"v":1}"#,
            r#"{"v":1,"by":"me"}"#,
            "true",
            "2999-01-31T14:30:00Z",
        ];
        insert_one(source, &mut all, PREFIX, &others, &values);
    }
    if source.one_in(6) {
        let retries = ["http", "grpc", "limit", "timeout"];
        let values = ["5xx", "gateway-error", "unavailable", "2", "0", "", "300ms", "x"];
        insert_one(source, &mut all, "retry.linkerd.io/", &retries, &values);
    }
    all
}

fn insert_one(
    source: &mut Source<'_>,
    all: &mut Map<String, Value>,
    prefix: &str,
    names: &[&str],
    values: &[&str],
) {
    let (name, value) = (source.pick(names), source.pick(values));
    all.insert(format!("{prefix}{name}"), json!(value));
}
