//! A managed object is edited, or its manifest applied again: traffic stays where it is, and the changes
//! of the author are recorded.

use super::authored_weights::{certain_weights, restored_weights, text_after, weights_after};
use super::default_primary::{defaults_after, note_after};
use super::mutation::{DesiredObject, Mutation, rule_prefix};
use super::retries::retries_after;
use super::traffic::traffic_after;
use crate::admission::author::Author;
use crate::admission::preexisting::{self, PreexistingProblems};
use crate::admission::previous::{PreviousObject, PreviousSet};
use crate::admission::reviewed_object::ReviewedObject;
use crate::admission::view::View;
use crate::engine::{
    AuthoredText, AuthoredWeights, BySet, Declaration, Intent, Reading, State, Weights,
    annotations, authored, defaulted_primary,
};
use kube::ResourceExt;

pub(super) fn update(
    old: &ReviewedObject<'_>,
    new: &ReviewedObject<'_>,
    view: &View<'_>,
) -> Option<Mutation> {
    let mut declared = new.normalized().clone();
    let previous = PreviousObject::of(old.object, old.normalized(), &declared);
    let author = Author::of(view.kind, old, new, view.manager);
    let certain = certain_weights(&author, &previous);

    let (recorded, text) = record_after(&declared, &previous, &certain);
    let defaults = match &previous.state {
        Some(state) if previous.is_reinvocation => state.clone(),
        _ => defaults_after(&declared, &previous, author.primary, view),
    };
    declared.annotations.set_state(Some(defaults));
    declared.annotations.set_record(AuthoredWeights::new(recorded));
    let read = view.read(&declared);
    if read.intents.is_empty() || has_new_problems(old, new, &declared, &read, view) {
        return None;
    }
    let intents = read.intents;

    let mut update = Update {
        weights: BySet::new(),
        state: previous.state.clone().unwrap_or_else(|| State::new(view.me, BySet::new())),
        notes: vec![],
        previous: &previous,
        declared: &declared,
        intents: &intents,
        certain: &certain,
    };
    update.keep_traffic(view);
    update.note_default_primaries();
    update.end_failover_of_rules();
    // Of a server-side apply a second call sees our weights in the place of the author's: it has to know
    // that there was a first one.
    let hides_author = author.is_server_side_apply && !view.dry_run && update.changes_weights();
    let authored = update.record(text, old.object.resource_version(), hides_author);
    if !author.has_applied && new.object.annotations().contains_key(annotations::LAST_APPLIED) {
        update.note_two_authors(&authored);
    }
    let Update { weights, state, mut notes, .. } = update;
    let mut retries = retries_after(Some(old), new, &intents, view);
    notes.extend(retries.note.take());
    let desired = DesiredObject::managed(weights, &intents, &state, &authored, &declared, retries);
    Some(Mutation { edit: desired.edit(new.object, &declared), notes })
}

/// The author's weights of each set after an edit, as numbers and as text.
fn record_after(
    declared: &Declaration,
    previous: &PreviousObject,
    certain: &BySet<Weights>,
) -> (BySet<Weights>, BySet<AuthoredText>) {
    let (mut recorded, mut text) = (BySet::new(), BySet::new());
    for set in &declared.sets {
        // The weights of a rule without failover may be unreadable; and with a record it would be taken
        // for one that failed over.
        let previous = previous.set(&set.name).filter(|previous| !previous.without_primary);
        let Some(previous) = previous else { continue };
        let Some(weights) = weights_after(set, previous, certain.get(&set.name)) else { continue };
        recorded.insert(set.name.clone(), weights);
        text.insert(set.name.clone(), text_after(set, previous));
    }
    text.retain(|_, text| !text.is_empty());
    (recorded, text)
}

/// Whether the edit adds problems: the validator has to see them as they were sent.
fn has_new_problems(
    old: &ReviewedObject<'_>,
    new: &ReviewedObject<'_>,
    annotated: &Declaration,
    read: &Reading,
    view: &View<'_>,
) -> bool {
    let as_sent = new.normalized_otherwise().map(|_| {
        let annotations = annotated.annotations.clone();
        view.read(&Declaration { annotations, ..new.declared.clone() })
    });
    let problems = &as_sent.as_ref().unwrap_or(read).problems;
    if problems.is_empty() {
        return false;
    }
    let preexisting = PreexistingProblems::of(preexisting::of_object(&old.declared, view));
    problems.iter().any(|problem| !preexisting.has(problem))
}

/// What becomes of the weights, where they are others than those of the request: the author's are recorded; an
/// edit that gives none, such as one of the warm standby, changes them all the same.
fn what_of_weights(intent: &Intent, previous: &PreviousSet, weights: &[u32]) -> String {
    let is_given = intent.backends.iter().any(|b| previous.live.get(&b.name) != Some(&b.live));
    if is_given {
        return "the weights given here are recorded as yours".into();
    }
    let each =
        intent.backends.iter().zip(weights).map(|(b, weight)| format!("{}={weight}", b.name));
    format!("the weights are {} now", each.collect::<Vec<_>>().join(", "))
}

/// An update in progress.
struct Update<'a> {
    weights: BySet<Vec<u32>>,
    state: State,
    notes: Vec<String>,
    previous: &'a PreviousObject,
    /// The new object, with the record and the defaults that hold after the edit.
    declared: &'a Declaration,
    intents: &'a [Intent],
    certain: &'a BySet<Weights>,
}

impl Update<'_> {
    fn keep_traffic(&mut self, view: &View<'_>) {
        self.state.sets.clear();
        let unknown = PreviousSet::default();
        for intent in self.intents.iter().filter(|intent| !intent.is_alone()) {
            let previous = self.previous.set(&intent.set).unwrap_or(&unknown);
            let (weights, set) = traffic_after(intent, previous, view);
            if intent.backends.iter().zip(&weights).any(|(b, weight)| b.live != *weight) {
                let before = previous.active();
                let stays = before.is_empty() || set.active.iter().any(|n| before.contains(n));
                self.notes.push(format!(
                    "{}traffic {} {} ({}); {}",
                    rule_prefix(intent),
                    if stays { "stays on" } else { "goes to" },
                    set.active.join(", "),
                    set.why,
                    what_of_weights(intent, previous, &weights),
                ));
            }
            self.weights.insert(intent.set.clone(), weights);
            self.state.sets.insert(intent.set.clone(), set);
        }
        self.state.defaulted_primary = defaulted_primary(self.intents);
    }

    fn note_default_primaries(&mut self) {
        for intent in self.intents {
            let previous = self.previous.set(&intent.set);
            let note = previous.and_then(|previous| note_after(intent, previous));
            // Without the name of its rule a note would repeat itself.
            let note = note.filter(|note| !self.notes.contains(note));
            self.notes.extend(note.map(|note| rule_prefix(intent) + &note));
        }
    }

    /// Notes on rules that failed over before the edit and do not after it.
    fn end_failover_of_rules(&mut self) {
        for (name, previous) in self.previous.failed_over() {
            let Some(set) = self.declared.sets.iter().find(|set| set.name == name) else {
                continue;
            };
            if self.state.sets.contains_key(name) {
                continue;
            }
            if set.is_alone() {
                self.notes.push(format!(
                    "rule {name} has one backend and does not fail over any more; its weight is left as it is"
                ));
                continue;
            }
            let restored = restored_weights(set, previous, self.certain.get(name));
            self.notes.push(format!(
                "rule {name} has none of the backends that {} names and does not fail over any more; its weights are {}",
                annotations::PRIMARY_SERVICE,
                if restored.is_some() { "yours again" } else { "left as they are" }
            ));
            self.weights.extend(restored.map(|weights| (name.to_owned(), weights)));
        }
    }

    /// Whether the weights differ from those in the request.
    fn changes_weights(&self) -> bool {
        self.intents.iter().any(|intent| {
            let weights = self.weights.get(&intent.set).into_iter().flatten();
            intent.backends.iter().zip(weights).any(|(backend, weight)| backend.live != *weight)
        })
    }

    /// The authored weights to record. The state names the edited version only where something changes, or
    /// where the answer hides what the author wrote, so that a dry run of an unchanged manifest shows no
    /// difference.
    fn record(
        &mut self,
        mut text: BySet<AuthoredText>,
        version: Option<String>,
        hides_author: bool,
    ) -> AuthoredWeights {
        let authored = authored(self.intents);
        text.retain(|set, _| authored.contains_key(set));
        let authored = AuthoredWeights::new(authored).written(text);
        let is_same_state = self.previous.state.as_ref() == Some(&self.state);
        if hides_author || self.previous.recorded() != authored || !is_same_state {
            self.state.edited = version;
        }
        authored
    }

    fn note_two_authors(&mut self, authored: &AuthoredWeights) {
        for (set, weights) in &authored.sets {
            let previous = self.previous.set(set).into_iter();
            self.notes.extend(previous.flat_map(|previous| previous.two_authors(weights)));
        }
    }
}
