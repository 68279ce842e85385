//! Defaulting: what the author left out is filled in, and an edit never undoes a failover.

use super::View;
use crate::failover::{
    AuthoredWeights, Backend, Declaration, Intent, Pending, Previous, SetState, State, Weights,
    annotations, decide, weights_for,
};
use crate::resources::last_applied::newly_applied_weights;
use crate::resources::traffic_split::{self, Edit};
use kube::ResourceExt;
use kube::core::DynamicObject;
use std::collections::BTreeSet;

/// What to change in the object of a request, and what to tell its author about it.
#[derive(Default)]
pub struct Mutation {
    pub edit: Edit,
    pub said: Vec<String>,
}

/// Defaults an object. What cannot be read passes untouched: the validator speaks.
///
/// `mutate(mutate(x)) == mutate(x)`: the API server may call again after other webhooks.
pub fn mutate(old: Option<&DynamicObject>, new: &DynamicObject, view: &View<'_>) -> Mutation {
    let old = old.filter(|old| view.manages(old));
    let outcome = match (old, view.manages(new)) {
        (_, true) if new.metadata.deletion_timestamp.is_some() => None,
        (None, true) => begin(new, view),
        (Some(old), true) => update(old, new, view),
        (Some(old), false) => release(old, new, view),
        (None, false) => None,
    };
    outcome.unwrap_or_default()
}

/// What an object shall hold; the edit is the difference to what it holds.
struct Target<'a> {
    weights: Vec<u32>,
    /// `None` removes.
    annotations: Vec<(&'a str, Option<String>)>,
    said: Vec<String>,
}

impl Target<'_> {
    fn into_mutation(self, new: &DynamicObject, declared: &Declaration) -> Mutation {
        let there = new.annotations();
        let mut edit = Edit::default();
        let as_they_are = declared.backends.iter().zip(&self.weights);
        if as_they_are.into_iter().any(|(b, weight)| b.weight.whole() != Some(*weight)) {
            edit.weights(&self.weights);
        }
        let (mut set, mut removed) = (vec![], vec![]);
        for (name, value) in self.annotations {
            match value {
                Some(value) if there.get(name) != Some(&value) => set.push((name, value)),
                None if there.contains_key(name) => removed.push(name),
                _ => {}
            }
        }
        edit.annotations(new.metadata.annotations.is_some(), &set);
        edit.remove_annotations(removed);
        Mutation { edit, said: self.said }
    }
}

/// An object becomes managed: created, or given the label.
fn begin(new: &DynamicObject, view: &View<'_>) -> Option<Mutation> {
    let created = new.metadata.uid.is_none() || new.metadata.resource_version.is_none();
    let mut declared = traffic_split::read(new);
    let brought = declared.state();
    // Of a state that is brought along (a restored backup) only this is believed.
    let default = brought.as_ref().and_then(|state| state.defaulted_primary.clone());
    set_or_remove(
        &mut declared,
        annotations::STATE,
        default.map(|primary| State::only_default(primary).to_annotation()),
    );
    let names: BTreeSet<&String> = declared.backends.iter().map(|b| &b.name).collect();
    let same_names = |weights: &Weights| weights.keys().collect::<BTreeSet<_>>() == names;
    if !declared.recorded().as_ref().is_some_and(same_names) {
        declared.annotations.remove(annotations::AUTHORED_WEIGHTS);
    }

    let intent = view.intent(&declared).ok()?;
    let health = view.health(&intent);
    let previous = if created { Previous::Birth } else { Previous::Live };
    let mut decision = decide(&intent, &health, previous, view.now);
    if intent.policy.paused && !intent.carrying().is_empty() {
        // Live weights stay as they are.
        decision.active = intent.carrying();
        decision.weights = intent.backends.iter().map(|b| b.live).collect();
    }
    let mut state = decision.state(&intent, &health, view.me, view.now);
    // Called again for the same request: the moments between do not matter.
    if let Some(brought) = brought.filter(|brought| same_but_for_time(brought, &state)) {
        state = brought;
    }

    let mut said = vec![];
    if intent.primary_is_default && !declared.annotations.contains_key(annotations::PRIMARY_SERVICE)
    {
        said.push(format!(
            "{} was not set: the first backend, {}, is the primary",
            annotations::PRIMARY_SERVICE,
            intent.backends[0].name
        ));
    }
    if !decision.on_primary(&intent) {
        said.push(format!(
            "traffic starts on {}: {}",
            decision.names(&intent).join(", "),
            decision.explain(&intent, &health)
        ));
    }
    let target = Target {
        weights: decision.weights.clone(),
        annotations: ours(&intent, &state, intent.authored()),
        said,
    };
    Some(target.into_mutation(new, &declared))
}

/// A managed object is edited, or its manifest applied again: traffic stays where it is, and what
/// the author changed is recorded.
fn update(old: &DynamicObject, new: &DynamicObject, view: &View<'_>) -> Option<Mutation> {
    let before = traffic_split::read(old);
    let mut declared = traffic_split::read(new);
    let version = old.resource_version();

    // Our own work in this very request, which the API server shows us again.
    let again = declared.state().filter(|state| version.is_some() && state.edited == version);
    let known = match &again {
        Some(state) => Known {
            live: state.only_set().map(|set| set.weights.clone()).unwrap_or_default(),
            recorded: declared.recorded().unwrap_or_default(),
            state: again.clone(),
        },
        None => Known {
            live: before.live(),
            recorded: before.recorded().unwrap_or_else(|| before.live()),
            state: before.state(),
        },
    };
    let exactly = newly_applied_weights(old, new).unwrap_or_default();
    let mut authored = Weights::new();
    for backend in &declared.backends {
        let weight = backend.weight.whole()?;
        let weight = match exactly.get(&backend.name) {
            Some(applied) => *applied,
            None if known.live.get(&backend.name) == Some(&weight) => {
                known.recorded.get(&backend.name).copied().unwrap_or(weight)
            }
            None => weight,
        };
        authored.insert(backend.name.clone(), weight);
    }

    set_or_remove(
        &mut declared,
        annotations::STATE,
        known.state.as_ref().map(State::to_annotation),
    );
    set_or_remove(
        &mut declared,
        annotations::AUTHORED_WEIGHTS,
        Some(AuthoredWeights::new(authored.clone()).to_annotation()),
    );
    let intent = view.intent(&declared).ok()?;
    let (weights, state) = match given(&intent, &known) {
        true => as_given(&intent, &known, version, view),
        false => stay(&intent, &known, &before, version, view),
    };

    let mut said = vec![];
    let kept = intent.backends.iter().zip(&weights).any(|(b, weight)| b.live != *weight);
    if let (true, Some(set)) = (kept, state.only_set()) {
        said.push(format!(
            "traffic stays on {} ({}); the weights given here are recorded as yours",
            set.active.join(", "),
            set.why,
        ));
    }
    let unapplied = new.annotations().contains_key(annotations::LAST_APPLIED) && exactly.is_empty();
    for (name, weight) in &authored {
        let was = known.recorded.get(name).filter(|was| *was != weight);
        if let (true, Some(was)) = (unapplied, was) {
            said.push(format!(
                "two authors: the weight of {name} was {was} and is {weight} from now on; the manifest given to kubectl apply says otherwise"
            ));
        }
    }
    let target = Target { weights, annotations: ours(&intent, &state, authored), said };
    Some(target.into_mutation(new, &declared))
}

/// What is known of an object before an edit.
struct Known {
    live: Weights,
    recorded: Weights,
    state: Option<State>,
}

/// The weights and the state after an edit: those of the active backends that remain, or decided
/// anew where none does.
fn stay(
    intent: &Intent,
    known: &Known,
    before: &Declaration,
    version: Option<String>,
    view: &View<'_>,
) -> (Vec<u32>, State) {
    let carrying = || known.live.iter().filter(|(_, w)| **w > 0).map(|(name, _)| name.clone());
    let set = known.state.as_ref().and_then(State::only_set).cloned();
    let set = set.unwrap_or_else(|| SetState {
        active: carrying().collect(),
        since: view.now.wall,
        why: "carried traffic when first seen".into(),
        weights: before.live(),
        ..SetState::default()
    });
    let remaining = intent.indices(&set.active);
    let (weights, state) = if remaining.is_empty() {
        let health = view.health(intent);
        let mut decision = decide(intent, &health, Previous::Birth, view.now);
        // Traffic that a loss took off the primary is still off it: a manual stay goes on.
        if set.left.is_some() && !decision.on_primary(intent) {
            (decision.left, decision.awaiting_primary) = (set.left, false);
        }
        (decision.weights.clone(), decision.state(intent, &health, view.me, view.now))
    } else {
        // Fallbacks that have the smallest share keep it.
        let warm: Vec<usize> = (0..intent.backends.len())
            .filter(|i| intent.policy.warm_standby && !remaining.contains(i))
            .filter(|i| set.weights.get(&intent.backends[*i].name).is_some_and(|w| *w > 0))
            .collect();
        let weights = weights_for(intent, &remaining, &warm);
        let names = |i: usize| intent.backends[i].name.clone();
        let written = intent.backends.iter().zip(&weights).map(|(b, w)| (b.name.clone(), *w));
        let active: Vec<String> = remaining.iter().copied().map(names).collect();
        // A delay is noted for the backends that were active then.
        let pending = if active == set.active { set.pending.clone() } else { Pending::new() };
        let set = SetState { active, weights: written.collect(), pending, ..set };
        let mut state = State::new(view.me, set.clone());
        if let Some(known) = &known.state {
            state = known.clone();
            state.sets.insert(String::new(), set);
        }
        (weights, state)
    };
    (weights, edited(state, intent, known, version))
}

/// The state with what an edit leaves in it.
fn edited(mut state: State, intent: &Intent, known: &Known, version: Option<String>) -> State {
    state.defaulted_primary = None;
    if intent.primary_is_default {
        state.defaulted_primary = intent.primaries().next().map(str::to_owned);
    }
    // Without a trace where nothing changed, so that a dry run of the authored manifest shows no
    // difference.
    let authored_changed = known.recorded != intent.authored();
    if authored_changed || known.state.as_ref() != Some(&state) {
        state.edited = version;
    }
    state
}

/// Whether the weights of a request take effect as they are given: while an object is paused, but
/// not where they only repeat what is known, since that is a manifest which is applied again.
fn given(intent: &Intent, known: &Known) -> bool {
    let repeats = |b: &Backend| {
        [&known.live, &known.recorded].iter().any(|weights| weights.get(&b.name) == Some(&b.live))
    };
    intent.policy.paused && !intent.backends.iter().all(repeats)
}

/// The weights that stand in the request, and the state that says so.
fn as_given(
    intent: &Intent,
    known: &Known,
    version: Option<String>,
    view: &View<'_>,
) -> (Vec<u32>, State) {
    let weights: Vec<u32> = intent.backends.iter().map(|b| b.live).collect();
    let written: Weights = intent.backends.iter().map(|b| (b.name.clone(), b.live)).collect();
    let set = known.state.as_ref().and_then(State::only_set).cloned().unwrap_or_default();
    let mut state = known.state.clone().unwrap_or_else(|| State::new(view.me, set.clone()));
    if set.weights != written {
        let carrying = intent.carrying();
        let names = carrying.iter().map(|i| intent.backends[*i].name.clone());
        let on_primary = carrying.iter().any(|i| intent.is_primary(*i));
        let set = SetState {
            active: names.collect(),
            since: view.now.wall,
            why: "set by hand while paused".into(),
            weights: written,
            left: set.left.filter(|_| !on_primary),
            awaiting_primary: set.awaiting_primary,
            ..SetState::default()
        };
        state.sets.insert(String::new(), set);
    }
    (weights, edited(state, intent, known, version))
}

/// The label comes off: the author's weights go back in.
fn release(old: &DynamicObject, new: &DynamicObject, view: &View<'_>) -> Option<Mutation> {
    let before = traffic_split::read(old);
    let mut declared = traffic_split::read(new);
    let live = before.live();
    let recorded = before.recorded().unwrap_or_default();
    let exactly = newly_applied_weights(old, new).unwrap_or_default();
    let mut weights = vec![];
    for backend in &declared.backends {
        let weight = backend.weight.whole()?;
        let untouched = live.get(&backend.name) == Some(&weight);
        let recorded = recorded.get(&backend.name).filter(|_| untouched);
        let theirs = exactly.get(&backend.name).or(recorded);
        weights.push(theirs.copied().unwrap_or(weight));
    }

    declared.annotations.remove(annotations::AUTHORED_WEIGHTS);
    let mut said = vec![];
    if let Ok(intent) = view.intent(&declared) {
        let health = view.health(&intent);
        for ((backend, health), weight) in intent.backends.iter().zip(&health).zip(&weights) {
            if *weight > 0 && !health.is_ready() && !health.is_unknown() {
                said.push(format!(
                    "{} gets traffic again and is not ready ({health}): nobody fails over for this object any more",
                    backend.name
                ));
            }
        }
    }
    let mut removed = vec![(annotations::STATE, None), (annotations::AUTHORED_WEIGHTS, None)];
    if before.authored_primary().is_none() {
        let default = before.annotations.get(annotations::PRIMARY_SERVICE);
        if default == new.annotations().get(annotations::PRIMARY_SERVICE) {
            removed.push((annotations::PRIMARY_SERVICE, None));
        }
    }
    Some(Target { weights, annotations: removed, said }.into_mutation(new, &declared))
}

/// The annotations of a managed object.
fn ours<'a>(intent: &Intent, state: &State, authored: Weights) -> Vec<(&'a str, Option<String>)> {
    let mut ours = vec![
        (annotations::AUTHORED_WEIGHTS, Some(AuthoredWeights::new(authored).to_annotation())),
        (annotations::STATE, Some(state.to_annotation())),
    ];
    if intent.primary_is_default {
        let primary = intent.primaries().next().map(str::to_owned);
        ours.push((annotations::PRIMARY_SERVICE, primary));
    }
    ours
}

fn set_or_remove(declared: &mut Declaration, name: &str, value: Option<String>) {
    match value {
        Some(value) => declared.annotations.insert(name.to_owned(), value),
        None => declared.annotations.remove(name),
    };
}

fn same_but_for_time(brought: &State, state: &State) -> bool {
    let (Some(one), Some(other)) = (brought.only_set(), state.only_set()) else { return false };
    let recent = one.since.duration_until(other.since).abs().as_secs() < 60;
    let mut brought = brought.clone();
    if let Some(set) = brought.sets.get_mut("") {
        set.since = other.since;
    }
    brought.by.clone_from(&state.by);
    recent && brought == *state
}

#[cfg(test)]
#[path = "mutate_tests.rs"]
mod tests;
