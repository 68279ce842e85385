//! The traffic of a set after an edit: it stays where it was.

use crate::admission::author::is_edit_by_hand;
use crate::admission::previous::PreviousSet;
use crate::admission::view::View;
use crate::engine::{
    BackendIndex, Intent, Previous, RecordedDelays, SetState, Weights, decide, in_force,
    weights_for,
};

/// The weights and the state of a set after an edit.
pub(super) fn traffic_after(
    intent: &Intent,
    previous: &PreviousSet,
    view: &View<'_>,
) -> (Vec<u32>, SetState) {
    match takes_given_weights(intent, previous, view) {
        true => given_weights(intent, previous, view),
        false => kept_weights(intent, previous, view),
    }
}

/// Whether the weights of a request take effect: while the object is paused, except where all of them are
/// the live ones, or the recorded ones. That is a manifest which is applied again, unless a person has
/// edited them with kubectl. All zero stays so in a second call, too: the validator refuses it.
fn takes_given_weights(intent: &Intent, previous: &PreviousSet, view: &View<'_>) -> bool {
    let repeats =
        |known: &Weights| intent.backends.iter().all(|b| known.get(&b.name) == Some(&b.live));
    let is_new = is_edit_by_hand(view.manager) || !repeats(&previous.recorded);
    let is_closed = |set: &SetState| set.active.is_empty() && repeats(&set.weights);
    intent.policy.paused_at(view.now.wall)
        && (!repeats(&previous.live) && is_new || previous.state.as_ref().is_some_and(is_closed))
}

/// The weights of the request, and a state that records them.
fn given_weights(intent: &Intent, previous: &PreviousSet, view: &View<'_>) -> (Vec<u32>, SetState) {
    let weights: Vec<u32> = intent.backends.iter().map(|b| b.live).collect();
    let by_name = intent.live();
    let set = previous.state.clone().unwrap_or_default();
    if set.weights == by_name {
        return (weights, set.remembering(intent));
    }
    let carrying = intent.carrying();
    let names = carrying.iter().map(|i| intent.backends[*i].name.clone());
    let on_primary = carrying.iter().any(|i| intent.is_primary(*i));
    let set = SetState {
        active: names.collect(),
        since: view.now.wall,
        why: "set by hand while paused".into(),
        weights: by_name,
        left: set.left.filter(|_| !on_primary),
        awaiting_primary: set.awaiting_primary,
        // The next time that it is declared down it stays away longer all the same.
        down: set.down,
        ..SetState::default()
    };
    (weights, set.remembering(intent))
}

/// The weights of the active backends that remain, or those of a new decision where none does.
fn kept_weights(intent: &Intent, previous: &PreviousSet, view: &View<'_>) -> (Vec<u32>, SetState) {
    let set = previous.state.clone().unwrap_or_else(|| SetState {
        active: previous.active(),
        since: view.now.wall,
        why: "carried traffic when first seen".into(),
        weights: previous.live.clone(),
        ..SetState::default()
    });
    let remaining = intent.indices(&set.active);
    if remaining.is_empty() {
        return decided_weights(intent, set, view);
    }
    // Fallbacks that have the smallest share keep it, also where it is not known whether they should have it.
    let warm: Vec<BackendIndex> = intent
        .indices_of_all()
        .filter(|i| {
            intent.policy.warm_standby() != Some(false) && remaining.binary_search(i).is_err()
        })
        .filter(|i| set.weights.get(&intent.backends[*i].name).is_some_and(|w| *w > 0))
        .collect();
    let weights = weights_for(intent, &remaining, &warm);
    let names = |i: BackendIndex| intent.backends[i].name.clone();
    let by_name = intent.backends.iter().zip(&weights).map(|(b, w)| (b.name.clone(), *w));
    let active: Vec<String> = remaining.iter().copied().map(names).collect();
    // A pending delay is that of the former active backends.
    let pending = if active == set.active { set.pending.clone() } else { RecordedDelays::new() };
    let set = SetState { active, weights: by_name.collect(), pending, ..set };
    (weights, set.remembering(intent))
}

fn decided_weights(intent: &Intent, before: SetState, view: &View<'_>) -> (Vec<u32>, SetState) {
    let health = view.health(intent);
    let health = in_force(intent, &health, Some(&before), view.now.wall);
    let mut decision = decide(intent, &health, Previous::Birth, view.now);
    // Traffic that left the primary has not returned: a manual stay continues.
    if before.left.is_some() && !decision.on_primary(intent) {
        (decision.left, decision.awaiting_primary) = (before.left, false);
    }
    let mut state = decision.state(intent, &health, view.now);
    state.down = before.down;
    (decision.weights, state)
}

#[cfg(test)]
#[path = "traffic_tests.rs"]
mod tests;
