//! What the program records in annotations, of this version and of others.

use super::source::Source;
use serde_json::{Map, Value, json};

const NAMES: &[&str] = &["web", "web-west", "web-east", "store", "web:80", "gone", "other/web", ""];
const SETS: &[&str] = &["", "#0", "#1", "api", "gone"];
const TIMES: &[&str] = &[
    "1970-01-12T13:46:40Z",
    "1970-01-12T13:46:39.999Z",
    "1970-01-12T13:00:00Z",
    "2999-01-31T14:30:00Z",
    "-009999-01-02T01:59:59Z",
    "9999-12-30T22:00:00.999999999Z",
    "1970-01-12",
    "soon",
];
const WEIGHTS: &[u64] = &[0, 1, 9, 429_496, 429_497, 1_000_000, 4_294_967_295, 4_294_967_296];

fn name(source: &mut Source<'_>) -> String {
    (*source.pick(NAMES)).to_owned()
}

fn names(source: &mut Source<'_>) -> Value {
    (0..source.below(4)).map(|_| json!(name(source))).collect()
}

fn time(source: &mut Source<'_>) -> Value {
    // The last two are no times.
    let times = if source.one_in(16) { TIMES } else { &TIMES[..6] };
    json!(source.pick(times))
}

fn map(source: &mut Source<'_>, mut value: impl FnMut(&mut Source<'_>) -> Value) -> Value {
    let count = source.below(4);
    (0..count).map(|_| (name(source), value(source))).collect::<Map<_, _>>().into()
}

fn weights(source: &mut Source<'_>) -> Value {
    map(source, |source| json!(source.pick(WEIGHTS)))
}

fn down(source: &mut Source<'_>) -> Value {
    let mut down = json!({"since": time(source)});
    if source.one_in(2) {
        down["least"] = json!(source.pick(&[0_u64, 60, 3600, 4_294_967_295]));
    }
    if source.one_in(2) {
        down["returned"] = time(source);
    }
    if source.one_in(3) {
        down["person"] = json!(source.one_in(2));
    }
    down
}

/// A version's own field, that this program does not know.
fn newer(source: &mut Source<'_>, of: &mut Value) {
    if source.one_in(8) {
        of["later"] = source.odd_value();
    }
}

fn set(source: &mut Source<'_>) -> Value {
    let mut set = json!({"active": names(source), "since": time(source)});
    for _ in 0..source.below(6) {
        let fields = [
            "weights",
            "why",
            "left",
            "pending",
            "pinned",
            "awaitingPrimary",
            "peaks",
            "short",
            "down",
            "nothingReady",
            "ahead",
            "primary",
            "first",
        ];
        let field = *source.pick(&fields);
        set[field] = match field {
            "weights" => weights(source),
            "why" => json!("web: no endpoints"),
            "left" | "nothingReady" => time(source),
            "pending" => map(source, time),
            "pinned" | "awaitingPrimary" => json!(source.one_in(2)),
            "peaks" => map(source, |source| json!(source.pick(&[0_u64, 1, 10, 4_294_967_295]))),
            "short" => map(source, |source| {
                let ports: Vec<&str> =
                    (0..source.below(3)).map(|_| *source.pick(&["http", "grpc", ""])).collect();
                json!([ports])
            }),
            "down" => map(source, down),
            "ahead" => names(source),
            _ => json!(name(source)),
        };
    }
    newer(source, &mut set);
    if source.one_in(16) {
        source.damage(&mut set);
    }
    set
}

/// Something for each of some sets.
fn by_set(source: &mut Source<'_>, of: fn(&mut Source<'_>) -> Value) -> Value {
    let count = source.below(3);
    let each = (0..=count).map(|i| {
        // The first is of a split.
        let set = if i == 0 && !source.one_in(4) { "" } else { *source.pick(SETS) };
        (set.to_owned(), of(source))
    });
    each.collect::<Map<_, _>>().into()
}

fn version(source: &mut Source<'_>) -> Value {
    if source.one_in(16) {
        source.pick(&[json!(2), json!(0), json!("1"), json!(1.0)]).clone()
    } else {
        json!(1)
    }
}

/// The annotation `state`.
pub(crate) fn state(source: &mut Source<'_>) -> Value {
    let mut state = json!({"v": version(source), "sets": by_set(source, set)});
    for _ in 0..source.below(4) {
        let field = *source.pick(&["by", "engine", "defaultedPrimary", "edited", "leaving"]);
        state[field] = match field {
            "leaving" => map(source, time),
            _ => json!(name(source)),
        };
    }
    newer(source, &mut state);
    state
}

/// Weights as an author wrote them.
fn text(source: &mut Source<'_>) -> Value {
    map(source, |source| {
        let texts = [
            json!("900m"),
            json!(0.5),
            json!("1"),
            json!(null),
            json!("x"),
            json!(2),
            json!("1e3"),
        ];
        (0..source.below(3)).map(|_| source.pick(&texts).clone()).collect()
    })
}

/// The annotation `authored-weights`.
pub(crate) fn authored(source: &mut Source<'_>) -> Value {
    let mut record = json!({"v": version(source), "sets": by_set(source, weights)});
    if source.one_in(3) {
        record["written"] = by_set(source, text);
    }
    newer(source, &mut record);
    if source.one_in(16) {
        source.damage(&mut record);
    }
    record
}
