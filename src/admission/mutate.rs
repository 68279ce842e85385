//! Defaulting: what the author left out is filled in, and an edit never undoes a failover.

use crate::admission::author::{Author, PrimaryNamed};
use crate::admission::preexisting::{self, PreexistingProblems};
use crate::admission::previous::{PreviousObject, PreviousSet};
use crate::admission::release::release;
use crate::admission::view::View;
use crate::engine::{
    AuthoredText, AuthoredWeights, Backend, BackendIndex, BySet, Declaration, DeclaredBackend,
    DeclaredSet, Intent, Previous, RecordedDelays, SetState, State, Weights, annotations, authored,
    decide, defaulted_primary, weights_for,
};
use crate::kinds::Edit;
use kube::ResourceExt;
use kube::core::DynamicObject;
use std::collections::BTreeSet;

/// What to change in the object of a request, and what to tell its author about it.
#[derive(Default)]
pub(crate) struct Mutation {
    pub edit: Edit,
    pub said: Vec<String>,
}

/// Defaults an object. What cannot be read passes untouched: the validator speaks.
///
/// `mutate(mutate(x)) == mutate(x)`: the API server may call again after other webhooks.
pub(crate) fn mutate(
    old: Option<&DynamicObject>,
    new: &DynamicObject,
    view: &View<'_>,
) -> Mutation {
    let old = old.filter(|old| view.manages(old));
    let outcome = match (old, view.manages(new)) {
        (_, true) if new.metadata.deletion_timestamp.is_some() => None,
        (None, true) => begin(new, view),
        (Some(old), true) => update(old, new, view),
        (Some(old), false) => Some(release(old, new, view)),
        (None, false) => None,
    };
    outcome.unwrap_or_default()
}

/// What an object shall hold; the edit is the difference to what it holds.
struct Target<'a> {
    /// By set; a set that is not here stays as it is.
    weights: BySet<Vec<u32>>,
    /// `None` removes.
    annotations: Vec<(&'a str, Option<String>)>,
    said: Vec<String>,
}

impl Target<'_> {
    /// `declared` is what the object says, [normalized](Declaration::normalized).
    fn into_mutation(self, new: &DynamicObject, declared: &Declaration) -> Mutation {
        let there = new.annotations();
        let mut edit = Edit::default();
        for set in &declared.sets {
            let Some(weights) = self.weights.get(&set.name) else { continue };
            let mut differs = set.backends.iter().zip(weights);
            if differs.any(|(b, weight)| b.weight.whole() != Some(*weight)) {
                for (backend, weight) in set.backends.iter().zip(weights) {
                    edit.weight(&backend.path, *weight);
                }
                for entry in &set.repeated {
                    edit.weight(&set.path.index(*entry), 0);
                }
            }
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
    // What is new is judged strictly, by the validator: it has to see it as it was sent.
    let mut declared = view.kind.read(new);
    let brought = declared.state().cloned();
    // Of a state that is brought along (a restored backup) only the defaults are believed.
    let state = defaults_at_birth(&declared, brought.as_ref(), created, view);
    declared.annotations.set_state(state);
    if !is_record_of_these(&declared) {
        declared.annotations.remove(annotations::AUTHORED_WEIGHTS);
    }

    let intents = view.intents(&declared).ok()?;
    let mut states = BySet::new();
    let (mut weights, mut said) = (BySet::new(), vec![]);
    said.extend(told_of_defaults(&intents, &declared));
    for intent in intents.iter().filter(|intent| !intent.is_alone()) {
        let health = view.health(intent);
        let previous = if created { Previous::Birth } else { Previous::Live };
        let mut decision = decide(intent, &health, previous, view.now);
        if intent.policy.paused && !intent.carrying().is_empty() {
            // Live weights stay as they are.
            decision.active = intent.carrying();
            decision.weights = intent.backends.iter().map(|b| b.live).collect();
        }
        if !decision.on_primary(intent) {
            said.push(format!(
                "{}traffic starts on {}: {}",
                of_rule(intent),
                decision.names(intent).join(", "),
                decision.explain(intent, &health)
            ));
        }
        states.insert(intent.set.clone(), decision.state(intent, &health, view.now));
        weights.insert(intent.set.clone(), decision.weights);
    }
    let mut state = State::new(view.me, states);
    state.defaulted_primary = defaulted_primary(&intents);
    // Called again for the same request: the moments between do not matter.
    if let Some(brought) = brought.filter(|brought| same_but_for_time(brought, &state)) {
        state = brought;
    }
    let authored = AuthoredWeights::new(authored(&intents));
    let annotations = ours(&intents, &state, authored, &declared);
    Some(Target { weights, annotations, said }.into_mutation(new, &declared))
}

/// What an object is read by that becomes managed: what its state says of defaults, or that of every
/// set which is new here.
fn defaults_at_birth(
    declared: &Declaration,
    brought: Option<&State>,
    created: bool,
    view: &View<'_>,
) -> Option<State> {
    let mut state = State::new(view.me, BySet::new());
    state.defaulted_primary = brought.and_then(|brought| brought.defaulted_primary.clone());
    for set in &declared.sets {
        let first = set.backends.first().map(|b| b.name.clone());
        let of_set = brought.and_then(|brought| brought.sets.get(&set.name));
        let was = of_set.filter(|of_set| {
            of_set.primary.as_ref().is_some_and(|primary| set.has(primary))
                && of_set.first.as_ref().or(of_set.primary.as_ref()) == first.as_ref()
        });
        // What was there before keeps its traffic: its author has to name what cannot be told.
        let Some(primary) = was.map_or(first.clone().filter(|_| created), |w| w.primary.clone())
        else {
            continue;
        };
        let remembered = SetState { primary: Some(primary), first, ..SetState::default() };
        state.sets.insert(set.name.clone(), remembered);
    }
    (state.defaulted_primary.is_some() || !state.sets.is_empty()).then_some(state)
}

/// A word on the primaries that an author did not name.
fn told_of_defaults(intents: &[Intent], declared: &Declaration) -> Vec<String> {
    if declared.annotations.contains_key(annotations::PRIMARY_SERVICE) {
        return vec![];
    }
    let not_set = format!("{} was not set", annotations::PRIMARY_SERVICE);
    let which = |intent: &Intent, primary: &str| {
        let is_first = intent.backends.first().is_some_and(|b| b.name == primary);
        let which = if is_first { "the first backend" } else { "the backend with weight" };
        let others: Vec<&str> = (intent.backends.iter())
            .filter(|b| b.name != primary && b.authored > 0)
            .map(|b| b.name.as_str())
            .collect();
        let none_for = match others.as_slice() {
            [] => String::new(),
            others => format!("; {} gets traffic only without it", others.join(", ")),
        };
        format!("{which}, {primary}, is the primary{none_for}")
    };
    if let Some(primary) = defaulted_primary(intents) {
        return intents
            .first()
            .map(|i| format!("{not_set}: {}", which(i, &primary)))
            .into_iter()
            .collect();
    }
    let own = intents.iter().filter_map(|intent| Some((intent, intent.default_primary()?)));
    own.map(|(i, primary)| format!("{}{not_set}: {}", of_rule(i), which(i, primary))).collect()
}

/// Whether the recorded weights are of the backends that the object has: those of a restored backup
/// are.
fn is_record_of_these(declared: &Declaration) -> bool {
    let Some(recorded) = declared.recorded() else { return false };
    let names = |set: &String| {
        let set = declared.sets.iter().find(|s| s.name == *set)?;
        Some(set.backends.iter().map(|b| &b.name).collect::<BTreeSet<_>>())
    };
    !recorded.is_empty()
        && recorded.iter().all(|(set, weights)| names(set) == Some(weights.keys().collect()))
}

/// A managed object is edited, or its manifest applied again: traffic stays where it is, and what
/// the author changed is recorded.
fn update(old: &DynamicObject, new: &DynamicObject, view: &View<'_>) -> Option<Mutation> {
    let (before, given_now) = (view.kind.read(old), view.kind.read(new));
    let mut declared = given_now.normalized().into_owned();
    let version = old.resource_version();
    let known = PreviousObject::of(old, &before.normalized(), &declared);
    let author = Author::of(view.kind, old, new, view.manager);
    let exactly = exactly(&author, &known);

    let (mut recorded, mut written) = (BySet::new(), BySet::new());
    for set in &declared.sets {
        // A rule that does not fail over may hold what nobody can read.
        let Some(known) = known.set(&set.name) else { continue };
        let Some(weights) = authored_now(set, known, exactly.get(&set.name)) else { continue };
        recorded.insert(set.name.clone(), weights);
        written.insert(set.name.clone(), written_now(set, known));
    }
    written.retain(|_, written| !written.is_empty());
    let defaults = match &known.state {
        Some(state) if known.is_again => state.clone(),
        _ => defaults_after(&declared, &known, author.primary, view),
    };
    declared.annotations.set_state(Some(defaults));
    declared.annotations.set_record(AuthoredWeights::new(recorded));
    // What is wrong anew is for the validator to see, as it was sent.
    let as_sent = Declaration { annotations: declared.annotations.clone(), ..given_now };
    let inherited = PreexistingProblems::of(preexisting::of_object(&before, view));
    if view.read(&as_sent).problems.iter().any(|problem| !inherited.has(problem)) {
        return None;
    }
    let intents = view.read(&declared).intents;
    if intents.is_empty() {
        return None;
    }

    let mut weights = BySet::new();
    let mut state = known.state.clone().unwrap_or_else(|| State::new(view.me, BySet::new()));
    state.sets.clear();
    let mut said = vec![];
    for intent in intents.iter().filter(|intent| !intent.is_alone()) {
        let unknown = PreviousSet::default();
        let known = known.set(&intent.set).unwrap_or(&unknown);
        let (given, set) = match given(intent, known) {
            true => as_given(intent, known, view),
            false => stay(intent, known, view),
        };
        if intent.backends.iter().zip(&given).any(|(b, weight)| b.live != *weight) {
            said.push(format!(
                "{}traffic stays on {} ({}); the weights given here are recorded as yours",
                of_rule(intent),
                set.active.join(", "),
                set.why,
            ));
        }
        weights.insert(intent.set.clone(), given);
        state.sets.insert(intent.set.clone(), set);
    }
    state.defaulted_primary = defaulted_primary(&intents);
    for intent in &intents {
        let note = known.set(&intent.set).and_then(|known| told_of_default(intent, known));
        said.extend(note.filter(|note| !said.contains(note)).map(|note| of_rule(intent) + &note));
    }
    for (name, known) in known.failed_over() {
        let Some(set) = declared.sets.iter().find(|set| set.name == name) else { continue };
        if state.sets.contains_key(name) {
            continue;
        }
        if set.is_alone() {
            said.push(format!(
                "rule {name} has one backend and does not fail over any more; its weight is left as it is"
            ));
            continue;
        }
        let own = given_back(set, known, exactly.get(name));
        said.push(format!(
            "rule {name} has none of the backends that {} names and does not fail over any more; its weights are {}",
            annotations::PRIMARY_SERVICE,
            if own.is_some() { "yours again" } else { "left as they are" }
        ));
        weights.extend(own.map(|own| (name.to_owned(), own)));
    }
    let authored = authored(&intents);
    written.retain(|set, _| authored.contains_key(set));
    let authored = AuthoredWeights::new(authored).written(written);
    // Without a trace where nothing changed, so that a dry run of the authored manifest shows no
    // difference.
    if known.recorded() != authored || known.state.as_ref() != Some(&state) {
        state.edited = version;
    }

    if new.annotations().contains_key(annotations::LAST_APPLIED) && !author.has_applied {
        for (set, weights) in &authored.sets {
            said.extend(known.set(set).into_iter().flat_map(|known| known.two_authors(weights)));
        }
    }
    let annotations = ours(&intents, &state, authored, &declared);
    Some(Target { weights, annotations, said }.into_mutation(new, &declared))
}

/// The weights that are known to be the author's; in a request that has been here before those that
/// stand in it are ours.
pub(crate) fn exactly(author: &Author, known: &PreviousObject) -> BySet<Weights> {
    match known.is_again && !author.has_applied {
        true => BySet::new(),
        false => author.weights.clone(),
    }
}

/// What an object is read by after an edit: whether the primary that stands in it is the default, and
/// which the default of each set is then.
fn defaults_after(
    declared: &Declaration,
    known: &PreviousObject,
    named: PrimaryNamed,
    view: &View<'_>,
) -> State {
    let mut state = known.state.clone().unwrap_or_else(|| State::new(view.me, BySet::new()));
    let there = declared.annotations.get(annotations::PRIMARY_SERVICE);
    state.defaulted_primary = there.filter(|_| named != PrimaryNamed::Yes).cloned();
    for set in &declared.sets {
        let Some(primary) = default_after(set, known.set(&set.name), named) else { continue };
        let of_set = state.sets.entry(set.name.clone()).or_default();
        of_set.primary = Some(primary);
        of_set.first = set.backends.first().map(|b| b.name.clone());
    }
    state
}

/// The default of a set after an edit: its first backend. It stays as it was in a failover, where
/// nothing says that the author means another, and where that is not what the edit changes. None
/// where nobody can tell: it did not fail over until now.
fn default_after(
    set: &DeclaredSet,
    known: Option<&PreviousSet>,
    named: PrimaryNamed,
) -> Option<String> {
    let first = &set.backends.first()?.name;
    let Some(known) = known else { return Some(first.clone()) };
    if known.without_primary {
        return None;
    }
    let is_same = known.first.as_ref() == Some(first) || named == PrimaryNamed::Unclear;
    let stays = known.is_away() || known.by_default && is_same;
    let before = known.primaries.iter().find(|primary| set.has(primary));
    Some(before.filter(|_| stays).unwrap_or(first).clone())
}

/// A word on the default primary of a set whose first backend is another than before.
fn told_of_default(intent: &Intent, known: &PreviousSet) -> Option<String> {
    let (is, was) = (intent.default_primary()?, known.primaries.first()?);
    let first = intent.backends.first().map(|b| &b.name)?;
    let annotation = annotations::PRIMARY_SERVICE;
    if is != was {
        return known.by_default.then(|| {
            format!(
                "the first backend is {is} now, and so is the primary, which was {was}; set {annotation} to keep it"
            )
        });
    }
    (first != is && known.first.as_ref() != Some(first)).then(|| {
        let why = match known.is_away() {
            true => "while traffic is off it",
            false => "as it stands in the object",
        };
        format!(
            "the first backend is {first} now; the primary is still {is}, {why}: set {annotation} to say which you mean"
        )
    })
}

/// The author's weights of a set after an edit; none where one cannot be read.
fn authored_now(
    set: &DeclaredSet,
    known: &PreviousSet,
    exactly: Option<&Weights>,
) -> Option<Weights> {
    let mut authored = Weights::new();
    for backend in &set.backends {
        let weight = backend.weight.whole()?;
        let applied = exactly.and_then(|weights| weights.get(&backend.name));
        let untouched = known.is_untouched(set, backend);
        let recorded = known.recorded.get(&backend.name).filter(|_| untouched);
        authored.insert(backend.name.clone(), *applied.or(recorded).unwrap_or(&weight));
    }
    Some(authored)
}

/// The same as their author wrote them, where that is something else.
pub(crate) fn written_now(set: &DeclaredSet, known: &PreviousSet) -> AuthoredText {
    let mut written = AuthoredText::new();
    for backend in &set.backends {
        let found = match known.is_untouched(set, backend) {
            true => known.written.get(&backend.name),
            false => set.written.get(&backend.name),
        };
        written.extend(found.map(|found| (backend.name.clone(), found.clone())));
    }
    written
}

/// The author's weights of a set that fails over no longer; none where they cannot be had, or would
/// leave it all zero, on which a proxy keeps its old weights for good.
pub(crate) fn given_back(
    set: &DeclaredSet,
    known: &PreviousSet,
    exactly: Option<&Weights>,
) -> Option<Vec<u32>> {
    let authored = authored_now(set, known, exactly)?;
    let of = |backend: &DeclaredBackend| authored.get(&backend.name).copied().unwrap_or_default();
    let weights: Vec<u32> = set.backends.iter().map(of).collect();
    weights.iter().any(|weight| *weight > 0).then_some(weights)
}

/// The weights and the state after an edit: those of the active backends that remain, or decided
/// anew where none does.
fn stay(intent: &Intent, known: &PreviousSet, view: &View<'_>) -> (Vec<u32>, SetState) {
    let set = known.state.clone().unwrap_or_else(|| SetState {
        active: known.active(),
        since: view.now.wall,
        why: "carried traffic when first seen".into(),
        weights: known.live.clone(),
        ..SetState::default()
    });
    let remaining = intent.indices(&set.active);
    if remaining.is_empty() {
        let health = view.health(intent);
        let mut decision = decide(intent, &health, Previous::Birth, view.now);
        // Traffic that a loss took off the primary is still off it: a manual stay goes on.
        if set.left.is_some() && !decision.on_primary(intent) {
            (decision.left, decision.awaiting_primary) = (set.left, false);
        }
        let state = decision.state(intent, &health, view.now);
        return (decision.weights, state);
    }
    // Fallbacks that have the smallest share keep it.
    let warm: Vec<BackendIndex> = intent
        .indices_of_all()
        .filter(|i| intent.policy.warm_standby && remaining.binary_search(i).is_err())
        .filter(|i| set.weights.get(&intent.backends[*i].name).is_some_and(|w| *w > 0))
        .collect();
    let weights = weights_for(intent, &remaining, &warm);
    let names = |i: BackendIndex| intent.backends[i].name.clone();
    let written = intent.backends.iter().zip(&weights).map(|(b, w)| (b.name.clone(), *w));
    let active: Vec<String> = remaining.iter().copied().map(names).collect();
    // A delay is noted for the backends that were active then.
    let pending = if active == set.active { set.pending.clone() } else { RecordedDelays::new() };
    let set = SetState { active, weights: written.collect(), pending, ..set };
    (weights, set.remembering(intent))
}

/// Whether the weights of a request take effect as they are given: while an object is paused, but
/// not where they only repeat what is known, since that is a manifest which is applied again.
fn given(intent: &Intent, known: &PreviousSet) -> bool {
    let repeats = |b: &Backend| {
        [&known.live, &known.recorded].iter().any(|weights| weights.get(&b.name) == Some(&b.live))
    };
    intent.policy.paused && !intent.backends.iter().all(repeats)
}

/// The weights that stand in the request, and the state that says so.
fn as_given(intent: &Intent, known: &PreviousSet, view: &View<'_>) -> (Vec<u32>, SetState) {
    let weights: Vec<u32> = intent.backends.iter().map(|b| b.live).collect();
    let written: Weights = intent.backends.iter().map(|b| (b.name.clone(), b.live)).collect();
    let set = known.state.clone().unwrap_or_default();
    if set.weights == written {
        return (weights, set.remembering(intent));
    }
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
    (weights, set.remembering(intent))
}

/// The rule that is spoken of, where there are several.
pub(crate) fn of_rule(intent: &Intent) -> String {
    match intent.set.as_str() {
        "" => String::new(),
        rule => format!("rule {rule}: "),
    }
}

/// The annotations of a managed object.
fn ours<'a>(
    intents: &[Intent],
    state: &State,
    authored: AuthoredWeights,
    declared: &Declaration,
) -> Vec<(&'a str, Option<String>)> {
    let mut ours = vec![
        (annotations::AUTHORED_WEIGHTS, Some(authored.to_annotation())),
        (annotations::STATE, Some(state.to_annotation())),
    ];
    if declared.authored_primary().is_none() {
        // Where rules have different ones none is the primary of all.
        ours.push((annotations::PRIMARY_SERVICE, defaulted_primary(intents)));
    }
    ours
}

fn same_but_for_time(brought: &State, state: &State) -> bool {
    let mut brought = brought.clone();
    for (name, other) in &state.sets {
        let Some(one) = brought.sets.get_mut(name) else { return false };
        if one.since.duration_until(other.since).abs().as_secs() >= 60 {
            return false;
        }
        one.since = other.since;
    }
    brought.by.clone_from(&state.by);
    !state.sets.is_empty() && brought == *state
}

#[cfg(test)]
#[path = "mutate_tests.rs"]
mod tests;
