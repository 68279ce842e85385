//! The label is removed: the author's weights are restored, as he wrote them.

use super::authored_weights::{certain_weights, restored_weights, text_after};
use super::mutation::{Mutation, rule_prefix};
use super::retries::released;
use crate::admission::author::{Author, PrimaryNamed};
use crate::admission::previous::PreviousObject;
use crate::admission::reviewed_object::ReviewedObject;
use crate::admission::view::View;
use crate::engine::{AuthoredText, DeclaredSet, Intent, annotations, proportions};
use crate::kinds::Edit;
use kube::ResourceExt;
use serde_json::Value;
use std::collections::HashMap;

/// Restores an object that is managed no longer.
pub(super) fn release(
    old: &ReviewedObject<'_>,
    new: &ReviewedObject<'_>,
    view: &View<'_>,
) -> Mutation {
    let normalized = new.normalized();
    let previous = PreviousObject::of(old.object, old.normalized(), normalized);
    let author = Author::of(view.kind, old, new, view.manager);
    let certain = certain_weights(&author, &previous);
    let mut edit = Edit::default();
    let mut weights = HashMap::new();
    for (sent, set) in new.declared.sets.iter().zip(&normalized.sets) {
        // A set of one backend was never written.
        let Some(previous) = previous.set(&set.name).filter(|_| !set.is_alone()) else { continue };
        let Some(own) = restored_weights(set, previous, certain.get(&set.name)) else { continue };
        let own: HashMap<&str, u32> = set.names().zip(own).collect();
        restore(sent, &own, &text_after(set, previous), view.takes_text, &mut edit);
        weights.insert(set.name.as_str(), own);
    }
    edit.remove_annotations(ours(old, new, author.primary, view));

    let mut declared = new.declared.clone();
    declared.annotations.remove(annotations::AUTHORED_WEIGHTS);
    let intents = view.read(&declared).intents;
    let notes = intents.iter().flat_map(|intent| {
        let weights = weights.get(intent.set.as_str());
        weights.map(|weights| not_ready(intent, weights, view)).unwrap_or_default()
    });
    Mutation { edit, notes: notes.collect() }
}

/// The annotations of the new object that are ours.
fn ours(
    old: &ReviewedObject<'_>,
    new: &ReviewedObject<'_>,
    primary: PrimaryNamed,
    view: &View<'_>,
) -> Vec<&'static str> {
    let present = new.object.annotations();
    let mut ours = vec![annotations::STATE, annotations::AUTHORED_WEIGHTS, annotations::CHANGED_BY];
    ours.extend(released(old, new, view));
    if old.declared.authored_primary().is_none() && primary != PrimaryNamed::Yes {
        let default = old.declared.annotations.get(annotations::PRIMARY_SERVICE);
        if default == present.get(annotations::PRIMARY_SERVICE) {
            ours.push(annotations::PRIMARY_SERVICE);
        }
    }
    ours.retain(|name| present.contains_key(*name));
    ours
}

/// Sets the weights of a set as its author wrote them. If one differs, all are written: the schema refuses
/// a change of one where another is stored as text.
fn restore(
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
        as_written
            .map_or(whole.clone(), |found| as_version_has_it(found, takes_text).unwrap_or(whole))
    });
    let own: Vec<Value> = own.collect();
    if set.backends.iter().zip(&own).any(|(backend, own)| backend.weight.as_written() != *own) {
        for (backend, own) in set.backends.iter().zip(own) {
            edit.weight_as(&backend.path, own);
        }
    }
}

/// A weight in a form that the version of a request allows, if there is one.
fn as_version_has_it(found: &Value, takes_text: bool) -> Option<Value> {
    if takes_text || found.is_number() {
        return Some(found.clone());
    }
    let nanos = proportions::read(Some(found))?;
    Some(Value::from(nanos as f64 / 1e9))
}

/// A note on each backend that gets traffic again and is not ready.
fn not_ready(intent: &Intent, weights: &HashMap<&str, u32>, view: &View<'_>) -> Vec<String> {
    let backends = intent.backends.iter().zip(view.health(intent));
    let fed = backends.filter(|(backend, health)| {
        let weight = weights.get(backend.name.as_str()).copied().unwrap_or_default();
        weight > 0 && !health.is_ready() && !health.is_unknown()
    });
    fed.map(|(backend, health)| {
        format!(
            "{}{} gets traffic again and is not ready ({health}): nobody fails over for this object any more",
            rule_prefix(intent),
            backend.name
        )
    })
    .collect()
}
