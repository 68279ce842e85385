//! The annotations `state` and `authored-weights`, of this version, of older and of newer ones.

use crate::engine::{AuthoredWeights, State};
use crate::fuzz::input::{Source, records};
use serde_json::{Map, Value, json};

/// The largest weight that a record may contain here.
const MOST: u32 = 429_496;

/// The first byte chooses whether the rest is the annotation itself, or makes a likely one.
pub(super) fn run(input: &[u8]) {
    let Some((choice, rest)) = input.split_first() else { return };
    if choice % 4 == 0 {
        let Ok(text) = std::str::from_utf8(rest) else { return };
        check_state(text);
        check_authored(text);
        return;
    }
    let mut source = Source::new(rest);
    let (state, authored) = (records::state(&mut source), records::authored(&mut source));
    check_state(&state.to_string());
    check_authored(&authored.to_string());
    check_versions(&state, &authored);
}

fn check_state(text: &str) {
    let Some(state) = State::parse(text) else { return };
    if let Ok(Value::Object(naive)) = serde_json::from_str(text) {
        assert_eq!(naive.get("v"), Some(&json!(1)), "a state of another version is read");
    }
    same_state(&state, &state.to_annotation());
}

/// What is written is read as what it was.
pub(super) fn same_state(state: &State, text: &str) {
    assert_eq!(State::parse(text).as_ref(), Some(state), "{text}");
}

fn check_authored(text: &str) {
    let Ok(read) = AuthoredWeights::parse(text, MOST) else { return };
    same_authored(&read, &read.to_annotation());
    let weights = read.sets.values().flatten();
    assert!(weights.into_iter().all(|(_, weight)| *weight <= MOST), "{text}");
}

/// What is written is read as what it was.
pub(super) fn same_authored(record: &AuthoredWeights, text: &str) {
    assert_eq!(AuthoredWeights::parse(text, MOST).as_ref(), Ok(record), "{text}");
}

/// A newer version adds fields: what is known of a record stays. An older one has fewer: what it has is read.
fn check_versions(state: &Value, authored: &Value) {
    if let Some(known) = State::parse(&state.to_string()) {
        same_state(&known, &newer(state).to_string());
        let older = with_required_alone(state, &["v", "sets"], &["active", "since"]);
        let older = State::parse(&older.to_string()).expect("a state of an older version");
        assert!(older.sets.keys().eq(known.sets.keys()));
        for (one, other) in older.sets.values().zip(known.sets.values()) {
            assert_eq!((&one.active, one.since), (&other.active, other.since));
        }
    }
    if let Ok(known) = AuthoredWeights::parse(&authored.to_string(), MOST) {
        same_authored(&known, &with_more(authored).to_string());
    }
}

/// With a field that nobody knows.
fn with_more(of: &Value) -> Value {
    let mut more = of.clone();
    more["laterStill"] = json!(["pod", 7]);
    more
}

/// A state with such a field, in itself and in each of its sets.
fn newer(state: &Value) -> Value {
    let mut newer = with_more(state);
    let sets = newer.get_mut("sets").and_then(Value::as_object_mut);
    for set in sets.into_iter().flat_map(Map::values_mut) {
        *set = with_more(set);
    }
    newer
}

fn with_required_alone(state: &Value, of_state: &[&str], of_set: &[&str]) -> Value {
    let only = |value: &Value, names: &[&str]| -> Map<String, Value> {
        let fields = value.as_object().into_iter().flatten();
        let fields = fields.filter(|(name, _)| names.contains(&name.as_str()));
        fields.map(|(name, value)| (name.clone(), value.clone())).collect()
    };
    let mut older = only(state, of_state);
    for set in
        older.get_mut("sets").and_then(Value::as_object_mut).into_iter().flat_map(Map::values_mut)
    {
        *set = only(set, of_set).into();
    }
    older.into()
}
