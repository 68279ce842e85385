//! An object becomes managed: it is created, or given the label.

use super::default_primary::{defaults_at_birth, notes_at_birth};
use super::mutation::{DesiredObject, Mutation, rule_prefix};
use super::retries::retries_after;
use crate::admission::reviewed_object::ReviewedObject;
use crate::admission::view::View;
use crate::engine::{
    AuthoredWeights, BySet, Decision, Declaration, Health, Intent, Now, Previous, State,
    annotations, authored, decide, defaulted_primary,
};
use jiff::SignedDuration;
use std::collections::BTreeSet;

/// Between two calls for one request.
const SAME_REQUEST: SignedDuration = SignedDuration::from_secs(60);

/// The weights become those of the first decision, and the authored ones are recorded. None where the
/// object cannot be read strictly: the validator has to see it as it was sent.
pub(super) fn adopt(new: &ReviewedObject<'_>, view: &View<'_>) -> Option<Mutation> {
    let metadata = &new.object.metadata;
    let created = metadata.uid.is_none() || metadata.resource_version.is_none();
    let brought = new.declared.state().cloned();
    let declared = with_brought_annotations(&new.declared, brought.as_ref(), created, view);

    let intents = view.intents(&declared).ok()?;
    // The API server may call again for the same request: what the first call wrote stays.
    let first = brought.and_then(|brought| first_call(&brought, &intents, created, view));
    let Adoption { state, weights, notes: of_traffic } =
        first.unwrap_or_else(|| Adoption::of(&intents, created, view, view.now));
    let mut notes = notes_at_birth(&intents, &declared);
    notes.extend(of_traffic);
    let authored = AuthoredWeights::new(authored(&intents));
    let mut retries = retries_after(None, new, &intents, view);
    notes.extend(retries.note.take());
    let desired = DesiredObject::managed(weights, &intents, &state, &authored, &declared, retries);
    Some(Mutation { edit: desired.edit(new.object, &declared), notes })
}

/// Where the traffic of an object begins.
struct Adoption {
    state: State,
    weights: BySet<Vec<u32>>,
    notes: Vec<String>,
}

impl Adoption {
    fn of(intents: &[Intent], created: bool, view: &View<'_>, now: Now) -> Self {
        let (mut states, mut weights, mut notes) = (BySet::new(), BySet::new(), vec![]);
        for intent in intents.iter().filter(|intent| !intent.is_alone()) {
            let health = view.health(intent);
            let decision = first_decision(intent, &health, created, now);
            if !decision.on_primary(intent) {
                notes.push(format!(
                    "{}traffic starts on {}: {}",
                    rule_prefix(intent),
                    decision.names(intent).join(", "),
                    decision.explain(intent, &health)
                ));
            }
            states.insert(intent.set.clone(), decision.state(intent, &health, now));
            weights.insert(intent.set.clone(), decision.weights);
        }
        let mut state = State::new(view.me, states);
        state.defaulted_primary = defaulted_primary(intents);
        Self { state, weights, notes }
    }
}

/// What the first call for the same request has made of the object, where a state that it has was written by
/// one: it is what is decided of the recorded weights, at the time of the state.
fn first_call(
    brought: &State,
    intents: &[Intent],
    created: bool,
    view: &View<'_>,
) -> Option<Adoption> {
    let at = brought.sets.values().next()?.since;
    if at.duration_until(view.now.wall).abs() >= SAME_REQUEST || !has_weights_of(intents, brought) {
        return None;
    }
    let now = Now { wall: at, ..view.now };
    let mut first = Adoption::of(&as_authored(intents), created, view, now);
    // Another replica may have answered it.
    first.state.by.clone_from(&brought.by);
    (first.state == *brought).then_some(first)
}

/// Whether the weights are those that a state records.
fn has_weights_of(intents: &[Intent], state: &State) -> bool {
    let mut written = intents.iter().filter(|intent| !intent.is_alone());
    written
        .all(|intent| state.sets.get(&intent.set).is_some_and(|set| set.weights == intent.live()))
}

/// The intents as they were before the first call, which recorded the weights that it replaced.
fn as_authored(intents: &[Intent]) -> Vec<Intent> {
    let mut sent = intents.to_vec();
    for backend in sent.iter_mut().flat_map(|intent| &mut intent.backends) {
        backend.live = backend.authored;
    }
    sent
}

/// The declaration with the annotations of a restored backup that are trusted: the defaults in its state,
/// and authored weights of the same backends.
fn with_brought_annotations(
    sent: &Declaration,
    brought: Option<&State>,
    created: bool,
    view: &View<'_>,
) -> Declaration {
    let mut declared = sent.clone();
    let state = defaults_at_birth(&declared, brought, created, view);
    declared.annotations.set_state(state);
    if !is_record_of_these_backends(&declared) {
        declared.annotations.remove(annotations::AUTHORED_WEIGHTS);
    }
    declared
}

fn first_decision(intent: &Intent, health: &[Health], created: bool, now: Now) -> Decision {
    let previous = if created { Previous::Birth } else { Previous::Live };
    let mut decision = decide(intent, health, previous, now);
    if intent.policy.paused_at(now.wall) && !intent.carrying().is_empty() {
        // Live weights stay as they are.
        decision.active = intent.carrying();
        decision.weights = intent.backends.iter().map(|b| b.live).collect();
    }
    decision
}

/// Whether the recorded weights are of the backends that the object has: those of a restored backup
/// are.
fn is_record_of_these_backends(declared: &Declaration) -> bool {
    let Some(recorded) = declared.recorded() else { return false };
    let names = |set: &String| {
        let set = declared.sets.iter().find(|s| s.name == *set)?;
        Some(set.backends.iter().map(|b| &b.name).collect::<BTreeSet<_>>())
    };
    !recorded.is_empty()
        && recorded.iter().all(|(set, weights)| names(set) == Some(weights.keys().collect()))
}
