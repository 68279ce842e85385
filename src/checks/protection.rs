//! What is missing for "no request lost".

use crate::admission::findings::{ObjectFacts, findings};
use crate::admission::reviewed_object::ReviewedObject;
use crate::admission::sent_object::SentObject;
use crate::checks::facts::Facts;
use crate::checks::outcome::Outcome;
use crate::engine::Protection;
use crate::kinds::ObjectRef;
use crate::snapshot::{Settings, Snapshot};
use kube::core::DynamicObject;

/// The findings of every object that asks for it.
pub(super) fn complete(facts: &Facts) -> Outcome {
    facts.by_snapshot(|snapshot, _| {
        let objects = snapshot.object_refs().into_iter();
        let faults = objects.filter(|object| is_asked_for(snapshot, object));
        Outcome::warnings(faults.flat_map(|object| missing(snapshot, object, &facts.settings)))
    })
}

fn is_asked_for(snapshot: &Snapshot, object: &ObjectRef) -> bool {
    let managed = snapshot.index.object(object);
    let first = managed.and_then(|managed| managed.readable().first());
    first.is_some_and(|set| set.intent.policy.protection.protection() == Some(Protection::Seamless))
}

/// Everything that an object lacks so that no request is lost, with the line that mends it, whatever it asks
/// for.
pub(crate) fn missing(snapshot: &Snapshot, object: &ObjectRef, settings: &Settings) -> Vec<String> {
    let Some(found) = snapshot.objects.get(object) else { return vec![] };
    let sent = SentObject::from(DynamicObject::clone(found));
    let reviewed = ReviewedObject::read(object.kind, &sent);
    let (lookups, rules) = (snapshot.lookups(object), settings.rules.clone().unwrap_or_default());
    let view = snapshot.view(object, &lookups, &rules, settings);
    let intents = view.read(&reviewed.declared).intents;
    let facts = ObjectFacts::of_review(&reviewed, &intents, &view);
    let found = facts.iter().flat_map(findings);
    found.map(|finding| format!("{object}: {}", finding.advice(object).into_warning())).collect()
}
