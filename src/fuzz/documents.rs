//! Splits and routes: document → intent → weights → document.

use crate::admission::mutate::mutate;
use crate::admission::reviewed_object::ReviewedObject;
use crate::admission::sent_object::SentObject;
use crate::admission::view::View;
use crate::engine::{Declaration, Defaults, Intent, Problem};
use crate::fuzz::input::Source;
use crate::fuzz::input::documents::{self as generated, NAMESPACE, Of, SERVICES};
use crate::fuzz::world::{World, now};
use crate::index::managed_object::ManagedObject;
use crate::index::order::Arrival;
use crate::kinds::{Edit, Kind, ObjectKey, ObjectRef};
use crate::reconciler::context::subject;
use crate::reconciler::plan::{Moves, plan};
use crate::reconciler::write::WriteKind;
use kube::core::DynamicObject;
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// Reads a document that an input makes, and checks what the program makes of it.
pub(super) fn run(input: &[u8]) {
    let mut source = Source::new(input);
    let mut world = World::of(&mut source);
    let of = Of::any(&mut source);
    let mut document = generated::any(&mut source, of);
    if !document["metadata"].is_object() {
        return;
    }
    document["metadata"]["uid"] = json!("u");
    document["metadata"]["resourceVersion"] = json!("1");
    let Ok(object) = serde_json::from_value::<DynamicObject>(document.clone()) else { return };
    let Some(kind) = Kind::of(of.group(), of.kind()) else { return };
    let declared = kind.read(&object);
    check_reading(&declared);
    check_verdict(&mut world, kind, &document, &declared, edit);
    check_writes(&mut world, kind, document);
}

/// The mutator's edit of a new object.
pub(super) fn edit(new: &ReviewedObject<'_>, view: &View<'_>) -> Edit {
    mutate(None, new, view).edit
}

/// Strict and lenient reading agree, and every intent is whole.
fn check_reading(declared: &Declaration) {
    let defaults = Defaults::default();
    let reading = Intent::read(declared, &defaults);
    let strict = Intent::parse(declared, &defaults);
    match &strict {
        Ok(intents) => assert_eq!((intents, reading.problems.len()), (&reading.intents, 0)),
        Err(problems) => assert!(!problems.is_empty() && *problems == reading.problems),
    }
    let mut sets = BTreeSet::new();
    for intent in &reading.intents {
        assert!(sets.insert(&intent.set), "two sets of one name: {declared:?}");
        check_intent(intent);
    }
}

pub(super) fn check_intent(intent: &Intent) {
    let names: BTreeSet<&str> = intent.backends.iter().map(|b| b.name.as_str()).collect();
    assert!(!names.is_empty(), "an intent without backends");
    assert_eq!(names.len(), intent.backends.len(), "backends of one name: {intent:?}");
    assert!(!intent.apexes.is_empty(), "an intent without an apex");
    assert!(intent.tiers.iter().all(|tier| !tier.is_empty()), "an empty tier: {intent:?}");
    let mut places: Vec<usize> = intent.tiers.iter().flatten().map(|i| i.place()).collect();
    places.sort_unstable();
    assert!(places.into_iter().eq(0..intent.backends.len()), "a backend in no tier, or in two");
    for (tier, members) in intent.tiers.iter().enumerate() {
        assert!(members.iter().all(|i| intent.tier_of(*i) == tier), "{intent:?}");
    }
    let sum: u64 = intent.backends.iter().map(|b| u64::from(b.live)).sum();
    assert!(sum <= u64::from(intent.limits.sum), "weights that Linkerd cannot carry: {intent:?}");
}

/// The validator's yes means that the controller can read the object, and the validator's no is the parser's
/// or that of a rule. What the mutator changes is taken by the parser, and by the validator where that takes the
/// object as it was: a record that cannot be, the mutator replaces.
pub(super) fn check_verdict(
    world: &mut World,
    kind: Kind,
    document: &Value,
    declared: &Declaration,
    mutator: impl Fn(&ReviewedObject<'_>, &View<'_>) -> Edit,
) {
    let Ok(sent) = serde_json::from_value::<SentObject>(document.clone()) else { return };
    if !world.view(kind).manages(&sent) {
        return;
    }
    let names: Vec<String> =
        declared.backends().map(|b| b.name.clone()).chain(declared.apexes.clone()).collect();
    let known = |name: &&str| !SERVICES.contains(name);
    world.without(names.iter().map(String::as_str).filter(known));
    let parsed = world.view(kind).intents(declared);
    let validation = world.validation(kind, &sent);
    let reviewed = ReviewedObject::read(kind, &sent);
    let edit = mutator(&reviewed, &world.view(kind));
    agree(&parsed, validation.errors.is_empty(), kind, &sent);
    if edit.is_empty() {
        return;
    }
    let first = edit.into_patch();
    let mutated = patched(document, &first);
    let mutated: SentObject = serde_json::from_value(mutated).expect("an object after the mutator");
    assert!(
        world.view(kind).intents(&kind.read(&mutated)).is_ok(),
        "the mutator made it unreadable"
    );
    let after = world.validation(kind, &mutated).errors;
    let is_refused_since = validation.errors.is_empty() && !after.is_empty();
    assert!(
        !is_refused_since,
        "the validator refuses what the mutator made: {after:?}, {document}"
    );
    let again = mutator(&ReviewedObject::read(kind, &mutated), &world.view(kind));
    assert!(
        again.is_empty(),
        "a second call changes more than {first}: {}, {document}",
        again.into_patch()
    );
}

/// What parser, validator, mutator and controller make of one new object.
pub(super) fn agree(
    parsed: &Result<Vec<Intent>, Vec<Problem>>,
    allowed: bool,
    kind: Kind,
    object: &SentObject,
) {
    match parsed {
        Err(problems) => {
            assert!(!allowed, "the validator takes what the parser refuses: {problems:?}");
        }
        Ok(intents) => {
            let managed = ManagedObject::read(kind, object, &Defaults::default());
            let sets = managed.sets.as_ref().expect("an object that the controller can read");
            assert!(managed.faults.is_empty(), "{:?}", managed.faults);
            assert_eq!(sets.len(), intents.len());
        }
    }
}

pub(super) fn patched(document: &Value, patch: &json_patch::Patch) -> Value {
    let mut patched = document.clone();
    if let Err(error) = json_patch::patch(&mut patched, patch) {
        panic!("a patch that does not apply: {error}: {patch}, {document}");
    }
    patched
}

/// What the controller writes is read as what it decided, and settles.
fn check_writes(world: &mut World, kind: Kind, document: Value) {
    if !has_whole_backends(&document) {
        return;
    }
    let object = ObjectRef::new(kind, ObjectKey::new(NAMESPACE, "emoji"));
    let mut document = document;
    for round in 0..4 {
        let read: DynamicObject = serde_json::from_value(document.clone()).expect("an object");
        let before = Intent::read(&kind.read(&read), &Defaults::default());
        let managed = ManagedObject::read(kind, &read, &Defaults::default());
        let intents_before = intents(&managed);
        world.index.enter_object(object.clone(), managed, Arrival::Watched);
        let Some(plan) = plan(&subject(&world.index, &object, now()), None, &world.me, Moves::All)
        else {
            return;
        };
        let Some(write) = plan.write else { return };
        if write.kind == WriteKind::Disclaim {
            return;
        }
        assert!(round < 3, "the same facts, and a write after each: {:?}", write.kind);
        document = patched(&document, &write.patch);
        document["metadata"]["resourceVersion"] = json!((round + 2).to_string());
        let written_object: DynamicObject =
            serde_json::from_value(document.clone()).expect("an object");
        let declared = kind.read(&written_object);
        let after = Intent::read(&declared, &Defaults::default());
        let written =
            Written { weights: write.weights.clone(), changes_weights: write.changes_weights() };
        let managed = ManagedObject::read(kind, &written_object, &Defaults::default());
        check_written(&declared, &written, &intents_before, &intents(&managed));
        if before.problems.is_empty() {
            assert_eq!(after.problems, [], "a write of ours makes an object unreadable");
        }
    }
}

/// Whether every backend is an object: by the schemas no API server stores another, and none has a weight to write.
fn has_whole_backends(document: &Value) -> bool {
    let whole = |list: &Value| list.as_array().is_none_or(|list| list.iter().all(Value::is_object));
    let rules = document["spec"]["rules"].as_array();
    whole(&document["spec"]["backends"])
        && rules.is_none_or(|rules| rules.iter().all(|rule| whole(&rule["backendRefs"])))
}

/// What the controller decides by.
fn intents(managed: &ManagedObject) -> Vec<Intent> {
    managed.readable().iter().map(|set| set.intent.clone()).collect()
}

/// What a write did.
pub(super) struct Written {
    /// Set after set, as the controller reports it.
    pub(super) weights: Vec<u32>,
    pub(super) changes_weights: bool,
}

/// The intents before and after a write differ in the live weights alone, and those are the decided ones.
pub(super) fn check_written(
    declared: &Declaration,
    written: &Written,
    before: &[Intent],
    after: &[Intent],
) {
    assert_eq!(
        before.len(),
        after.len(),
        "a write of ours adds or takes sets: {before:?}, then {declared:?}"
    );
    // Of a rule with one backend the weight means nothing, and is in no record of ours.
    let fails_over = |(before, _): &(&Intent, &Intent)| !before.is_alone();
    for (before, after) in before.iter().zip(after).filter(fails_over) {
        let mut expected = before.clone();
        // What is written otherwise, or twice, is written as a number, once.
        expected.is_normalized = after.is_normalized;
        for (backend, written) in expected.backends.iter_mut().zip(&after.backends) {
            backend.live = written.live;
        }
        assert_eq!(expected, *after, "a write of ours is another intent: {declared:?}");
    }
    if !written.changes_weights {
        return;
    }
    let moved = |intent: &&Intent| {
        let state = declared.state();
        !intent.is_alone() && state.is_none_or(|state| state.sets.contains_key(&intent.set))
    };
    for intent in after.iter().filter(moved) {
        assert!(intent.backends.iter().any(|b| b.live > 0), "all weights are zero: {intent:?}");
    }
    let live = |intent: &Intent| intent.backends.iter().map(|b| b.live).collect::<Vec<_>>();
    // A rule whose weights stay keeps their text.
    let changed = before.iter().zip(after).filter(|(before, after)| live(before) != live(after));
    for (_, intent) in changed {
        let is_number = !intent.is_normalized || !intent.repeated.is_empty();
        assert!(is_number, "a weight that we wrote is no number: {intent:?}");
    }
    if let [intent] = after {
        let live = live(intent);
        assert!(intent.is_alone() || live == written.weights, "{live:?} is not what was decided");
    }
}
