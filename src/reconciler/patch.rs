//! The patch that applies decisions to an object, in one write.

use crate::engine::{
    AuthoredWeights, BySet, Identity, Intent, SetState, State, WriteNeed, annotations,
};
use crate::index::managed_object::{ManagedObject, ManagedSet};
use crate::kinds::Edit;
use crate::reconciler::context::Subject;
use crate::reconciler::flip::Flip;
use crate::reconciler::set_decision::SetDecision;
use crate::reconciler::write::{Write, WriteKind};
use jiff::Timestamp;

/// The write of weights and state by these decisions; where the weights are there already, of the state
/// alone, and with it our claim on `spec` is given up. `nothing_ready`: since when sets have nothing ready,
/// as it was reported.
pub(crate) fn write(
    subject: &Subject<'_>,
    me: &Identity,
    decided: &[SetDecision<'_>],
    need: WriteNeed,
    nothing_ready: &BySet<Timestamp>,
) -> Write {
    let managed = subject.managed;
    let mut edit = Edit::guarded_by(&managed.resource_version);
    let leaves_spec = need == WriteNeed::Record && decided.iter().all(SetDecision::is_in_place);
    let (mut weights, mut moves, mut states) = (vec![], vec![], recorded_states(subject));
    for decided in decided {
        let SetDecision { set, health, decision, .. } = decided;
        let intent = &set.intent;
        let mut state = decision.state(intent, health, subject.now);
        if decided.moves {
            moves.push(decided.set_move(subject, state.why.clone()));
        }
        // The weights of a set with one backend are compared, and not written.
        weights.extend(&decision.weights);
        if !intent.is_alone() {
            if !leaves_spec {
                edit_weights(intent, &decision.weights, &mut edit);
            }
            state.nothing_ready = nothing_ready.get(&intent.set).copied();
            states.insert(intent.set.clone(), state);
        }
    }
    if leaves_spec {
        disclaim_spec(managed, &mut edit);
    }
    let is_early = decided.iter().any(|d| !d.decision.left_early.is_empty());
    let state = object_state(subject, me, states, is_early);
    edit.annotations(managed.has_annotations, &annotations(managed, &state));
    let kind = match Flip::of(moves, managed.readable().len()) {
        Some(flip) => WriteKind::Flip(flip),
        None if need == WriteNeed::Traffic => WriteKind::Correction,
        None => WriteKind::Record,
    };
    Write {
        weights,
        is_first: !managed.has_state(),
        edited: managed.edited_by.as_ref().map(|by| edited(by, managed)),
        ..patched(subject, edit, kind)
    }
}

fn edit_weights(intent: &Intent, weights: &[u32], edit: &mut Edit) {
    for (entry, weight) in intent.by_entry(weights).into_iter().enumerate() {
        edit.weight(&intent.path.index(entry), weight);
    }
}

/// The write that gives up our claim on `spec`; none where there is no claim.
///
/// A manager that applies meets a conflict with whoever owns `spec` beside it, also the first time
/// it applies. A write that changes `spec` cannot give it up.
pub(crate) fn disclaim(subject: &Subject<'_>) -> Option<Write> {
    (!subject.managed.owners.claims.is_empty()).then(|| {
        let mut edit = Edit::guarded_by(&subject.managed.resource_version);
        disclaim_spec(subject.managed, &mut edit);
        patched(subject, edit, WriteKind::Disclaim)
    })
}

fn disclaim_spec(managed: &ManagedObject, edit: &mut Edit) {
    managed.owners.claims.iter().for_each(|position| edit.disclaim_spec(*position));
}

fn patched(subject: &Subject<'_>, edit: Edit, kind: WriteKind) -> Write {
    Write {
        object: subject.object.clone(),
        version: subject.version(),
        uid: subject.managed.uid.clone(),
        resource_version: subject.managed.resource_version.clone(),
        patch: edit.into_patch(),
        weights: vec![],
        is_first: false,
        edited: None,
        kind,
    }
}

/// Our annotations: the state, and the author's weights where they are not recorded yet.
fn annotations(managed: &ManagedObject, state: &State) -> Vec<(&'static str, String)> {
    let mut set = vec![(annotations::STATE, state.to_annotation())];
    if !managed.authored_recorded {
        let sets = managed.readable().iter().filter(|set| !set.intent.is_alone());
        let authored = sets.map(|set| (set.intent.set.clone(), set.intent.authored())).collect();
        let authored = AuthoredWeights::new(authored).written(managed.written.clone());
        set.push((annotations::AUTHORED_WEIGHTS, authored.to_annotation()));
    }
    set
}

/// The states of all sets as they are recorded: a set that a write does not concern keeps its own.
fn recorded_states(subject: &Subject<'_>) -> BySet<SetState> {
    let recorded = |set: &ManagedSet| {
        let mut state = set.state.clone()?;
        state.pending = subject.now.to_wall(&set.pending);
        Some((set.intent.set.clone(), state))
    };
    subject.managed.readable().iter().filter_map(recorded).collect()
}

fn object_state(
    subject: &Subject<'_>,
    me: &Identity,
    states: BySet<SetState>,
    is_early: bool,
) -> State {
    let Subject { index, object, managed, now, .. } = *subject;
    let mut state = State::new(me, states);
    state.defaulted_primary = managed.defaulted_primary.as_deref().map(str::to_owned);
    state.announced_pods = index.pods_to_record(object, managed, is_early, now);
    state
}

/// Which weights somebody wrote past the webhook, for people.
fn edited(by: &str, managed: &ManagedObject) -> String {
    let of_set = |set: &ManagedSet| {
        let weights = set.intent.backends.iter().map(|b| format!("{} {}", b.name, b.authored));
        let weights = weights.collect::<Vec<_>>().join(", ");
        match set.intent.set.as_str() {
            "" => weights,
            rule => format!("rule {rule}: {weights}"),
        }
    };
    let weights: Vec<String> = managed.readable().iter().map(of_set).collect();
    format!(
        "{by} wrote weights past the webhook. The author's weights are from now on {}",
        weights.join("; ")
    )
}
