//! What is missing for "no request lost", and what is there and does nothing.

use crate::admission::findings::{Finding, ObjectFacts, findings};
use crate::admission::reviewed_object::ReviewedObject;
use crate::admission::sent_object::SentObject;
use crate::checks::facts::Facts;
use crate::checks::outcome::Outcome;
use crate::engine::Protection;
use crate::kinds::ObjectRef;
use crate::snapshot::{Settings, Snapshot};
use kube::core::DynamicObject;

/// The findings of every object that asks for it, but for those that [`in_effect`] has of all objects.
pub(super) fn complete(facts: &Facts) -> Outcome {
    facts.by_snapshot(|snapshot, _| {
        let objects = snapshot.object_refs().into_iter();
        let objects = objects.filter(|object| is_asked_for(snapshot, object));
        Outcome::warnings(objects.flat_map(|object| {
            let found = found(snapshot, object, &facts.settings).into_iter();
            lines(object, found.filter(|finding| !finding.is_always_reported()))
        }))
    })
}

/// Annotations of Services for failure accrual and retries that do nothing, or not what they are for, of every
/// object.
pub(super) fn in_effect(facts: &Facts) -> Outcome {
    facts.by_snapshot(|snapshot, _| {
        let objects = snapshot.object_refs().into_iter();
        Outcome::warnings(objects.flat_map(|object| {
            let found = found(snapshot, object, &facts.settings).into_iter();
            lines(object, found.filter(Finding::is_always_reported))
        }))
    })
}

fn lines(object: &ObjectRef, found: impl Iterator<Item = Finding>) -> Vec<String> {
    found.map(|finding| format!("{object}: {}", finding.advice(object).into_warning())).collect()
}

fn is_asked_for(snapshot: &Snapshot, object: &ObjectRef) -> bool {
    let managed = snapshot.index.object(object);
    let first = managed.and_then(|managed| managed.readable().first());
    first.is_some_and(|set| set.intent.policy.protection.protection() == Some(Protection::Seamless))
}

/// Everything that an object lacks so that no request is lost, with the line that mends it, whatever it asks
/// for.
pub(crate) fn missing(snapshot: &Snapshot, object: &ObjectRef, settings: &Settings) -> Vec<String> {
    lines(object, found(snapshot, object, settings).into_iter())
}

fn found(snapshot: &Snapshot, object: &ObjectRef, settings: &Settings) -> Vec<Finding> {
    let Some(found) = snapshot.objects.get(object) else { return vec![] };
    let sent = SentObject::from(DynamicObject::clone(found));
    let reviewed = ReviewedObject::read(object.kind, &sent);
    let (lookups, rules) = (snapshot.lookups(object), settings.rules.clone().unwrap_or_default());
    let view = snapshot.view(object, &lookups, &rules, settings);
    let intents = view.read(&reviewed.declared).intents;
    let facts = ObjectFacts::of_review(&reviewed, &intents, &view);
    facts.iter().flat_map(findings).collect()
}
