//! The objects themselves: whether they can be read, would be admitted, and can fail over.

use crate::admission::reviewed_object::ReviewedObject;
use crate::admission::sent_object::SentObject;
use crate::admission::validate::validate;
use crate::checks::facts::Facts;
use crate::checks::outcome::Outcome;
use crate::snapshot::row::{ObjectRow, SetRow};
use kube::core::DynamicObject;

pub(super) fn readable(facts: &Facts) -> Outcome {
    facts.by_snapshot(|_, rows| Outcome::errors(rows.iter().flat_map(unreadable)))
}

fn unreadable(row: &ObjectRow) -> Vec<String> {
    let problems = row.sets.as_ref().err().into_iter().flatten().chain(&row.faults);
    problems.map(|problem| format!("{}: {problem}", row.object)).collect()
}

/// What cannot be read is reported already.
pub(super) fn admissible(facts: &Facts) -> Outcome {
    let Some(rules) = &facts.settings.rules else { return Outcome::Skipped };
    facts.by_snapshot(|snapshot, _| {
        let objects = snapshot.object_refs().into_iter().filter(|object| {
            snapshot.index.object(object).is_some_and(|managed| managed.sets.is_ok())
        });
        let faults = objects.flat_map(|object| {
            let Some(found) = snapshot.objects.get(object) else { return vec![] };
            let sent = SentObject::from(DynamicObject::clone(found));
            let reviewed = ReviewedObject::read(object.kind, &sent);
            let lookups = snapshot.lookups(object);
            let view = snapshot.view(object, &lookups, rules, &facts.settings);
            let errors = validate(None, &reviewed, &view).errors;
            errors.into_iter().map(|problem| format!("{object}: {problem}")).collect()
        });
        Outcome::errors(faults)
    })
}

/// Before the outage: what would have nowhere to go.
pub(super) fn fallbacks(facts: &Facts) -> Outcome {
    facts.by_snapshot(|_, rows| {
        let faults = rows.iter().flat_map(|row| {
            let sets = row.sets.iter().flatten().filter(|set| is_without_fallback(set));
            sets.map(move |set| {
                let each: Vec<String> =
                    set.fallbacks().map(|b| format!("{}: {}", b.name, b.health)).collect();
                let rule = if set.intent.set.is_empty() { String::new() } else { format!(", rule {}", set.intent.set) };
                format!("found {}{rule} without a ready fallback ({}), expected one: a loss of its primary would be an outage", row.object, each.join(", "))
            })
        });
        Outcome::errors(faults.collect::<Vec<_>>())
    })
}

/// Whether it has fallbacks, and all of them are known to be down.
fn is_without_fallback(set: &SetRow) -> bool {
    let mut fallbacks = set.fallbacks().peekable();
    fallbacks.peek().is_some() && fallbacks.all(|backend| backend.meets_minimum == Some(false))
}
