//! The label comes off: the author's weights go back in, as he wrote them.

use crate::admission::author::{Author, PrimaryNamed};
use crate::admission::mutate::{Mutation, exactly, given_back, of_rule, written_now};
use crate::admission::previous::PreviousObject;
use crate::admission::view::View;
use crate::engine::{AuthoredText, DeclaredSet, Intent, annotations, proportions};
use crate::kinds::Edit;
use kube::ResourceExt;
use kube::core::DynamicObject;
use serde_json::Value;
use std::collections::HashMap;

/// What to give back of an object that is managed no longer.
pub(crate) fn release(old: &DynamicObject, new: &DynamicObject, view: &View<'_>) -> Mutation {
    let (before, given) = (view.kind.read(old), view.kind.read(new));
    let mended = given.normalized();
    let known = PreviousObject::of(old, &before.normalized(), &mended);
    let author = Author::of(view.kind, old, new, view.manager);
    let exactly = exactly(&author, &known);
    let mut edit = Edit::default();
    let mut weights = HashMap::new();
    for (raw, set) in given.sets.iter().zip(&mended.sets) {
        // With one backend it was never written.
        let Some(known) = known.set(&set.name).filter(|_| !set.is_alone()) else { continue };
        let Some(own) = given_back(set, known, exactly.get(&set.name)) else { continue };
        let own: HashMap<&str, u32> = set.names().zip(own).collect();
        give_back(raw, &own, &written_now(set, known), view.takes_text, &mut edit);
        weights.insert(set.name.as_str(), own);
    }

    let mut declared = given.clone();
    declared.annotations.remove(annotations::AUTHORED_WEIGHTS);
    let intents = view.read(&declared).intents;
    let said = intents.iter().flat_map(|intent| {
        let weights = weights.get(intent.set.as_str());
        weights.map(|weights| not_ready(intent, weights, view)).unwrap_or_default()
    });
    let said = said.collect();

    let there = new.annotations();
    let mut removed = vec![annotations::STATE, annotations::AUTHORED_WEIGHTS];
    if before.authored_primary().is_none() && author.primary != PrimaryNamed::Yes {
        let default = before.annotations.get(annotations::PRIMARY_SERVICE);
        if default == there.get(annotations::PRIMARY_SERVICE) {
            removed.push(annotations::PRIMARY_SERVICE);
        }
    }
    edit.remove_annotations(removed.into_iter().filter(|name| there.contains_key(*name)));
    Mutation { edit, said }
}

/// Sets the weights of a set as its author wrote them. All of them, where any is another: the schema
/// refuses one alone where another is stored as text.
fn give_back(
    set: &DeclaredSet,
    weights: &HashMap<&str, u32>,
    written: &AuthoredText,
    takes_text: bool,
    edit: &mut Edit,
) {
    let mut entries: HashMap<&str, usize> = HashMap::new();
    let own = set.backends.iter().map(|backend| {
        let entry = entries.entry(&backend.name).or_default();
        let as_written = written.get(&backend.name).and_then(|weights| weights.get(*entry));
        let whole = weights.get(backend.name.as_str()).copied().filter(|_| *entry == 0);
        *entry += 1;
        let whole = Value::from(whole.unwrap_or_default());
        as_written.map_or(whole.clone(), |found| sayable(found, takes_text).unwrap_or(whole))
    });
    let own: Vec<Value> = own.collect();
    if set.backends.iter().zip(&own).any(|(backend, own)| backend.weight.as_written() != *own) {
        for (backend, own) in set.backends.iter().zip(own) {
            edit.weight_as(&backend.path, own);
        }
    }
}

/// A weight as the version of a request can say it; none where it cannot.
fn sayable(found: &Value, takes_text: bool) -> Option<Value> {
    if takes_text || found.is_number() {
        return Some(found.clone());
    }
    let nanos = proportions::read(Some(found))?;
    Some(Value::from(nanos as f64 / 1e9))
}

/// A word on each backend that gets traffic again and is not ready.
fn not_ready(intent: &Intent, weights: &HashMap<&str, u32>, view: &View<'_>) -> Vec<String> {
    let backends = intent.backends.iter().zip(view.health(intent));
    let fed = backends.filter(|(backend, health)| {
        let weight = weights.get(backend.name.as_str()).copied().unwrap_or_default();
        weight > 0 && !health.is_ready() && !health.is_unknown()
    });
    fed.map(|(backend, health)| {
        format!(
            "{}{} gets traffic again and is not ready ({health}): nobody fails over for this object any more",
            of_rule(intent),
            backend.name
        )
    })
    .collect()
}
