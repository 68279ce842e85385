//! An edit must not return traffic to a backend that is down.

use super::rule::{Check, ObjectReview, Rule};
use crate::admission::previous::PreviousSet;
use crate::admission::view::View;
use crate::engine::{
    Annotations, Declaration, DeclaredBackend, DeclaredSet, Health, ParsedWeight, Problem,
};
use std::collections::BTreeMap;

/// Denies weight on a backend that a failover took it from, where that backend is known to be down and
/// one that had the traffic of the set is known to be ready. Everything else may be a fix, and is a
/// warning.
///
/// Where the mutating webhook was reached it has kept the weights.
pub(super) const RULE: Rule = Rule { name: "undone_failover", check: Check::Review(check) };

fn check(review: &ObjectReview<'_>) -> Vec<Problem> {
    let Some(previous) = &review.previous else { return vec![] };
    let failed_over = review.normalized.sets.iter().filter_map(|set| {
        let previous = previous.set(&set.name).filter(|previous| previous.state.is_some())?;
        Some((set, previous))
    });
    failed_over.flat_map(|(set, previous)| undone_in(set, previous, review)).collect()
}

fn undone_in(set: &DeclaredSet, previous: &PreviousSet, review: &ObjectReview<'_>) -> Vec<Problem> {
    let (new, paused) = (review.normalized, review.is_paused());
    let put: Vec<&DeclaredBackend> =
        set.backends.iter().filter(|b| is_put_on(b, previous, set)).collect();
    if put.is_empty() {
        return vec![];
    }
    let health = health_of(previous, set, new, review.view);
    let is_down = |name: &str| health.get(name).is_some_and(|h| !h.is_ready() && !h.is_unknown());
    let ready: Vec<String> = previous
        .active()
        .into_iter()
        .filter(|name| health.get(name).is_some_and(Health::is_ready))
        .collect();
    let is_refused = |b: &DeclaredBackend| !paused && is_down(&b.name) && !ready.is_empty();
    let why = previous.state.as_ref().map_or("", |state| state.why.as_str());
    let problem = |backend: &&DeclaredBackend| {
        let refused = is_refused(backend);
        let found = format!("{} for {}", weight(backend, set), backend.name);
        let field = backend.path.field("weight");
        let problem = if refused { Problem::error(field) } else { Problem::warning(field) };
        let active = previous.active().join(", ");
        let expected = match why {
            "" => format!("0 while traffic is on {active}"),
            why => format!("0 while traffic is on {active} ({why})"),
        };
        problem.found(found).expected(expected).about(backend.name.as_str()).next(match refused {
            true => way_out(&ready, set, new, review.is_readable()),
            false if paused => "while the object is paused this takes effect".into(),
            false => "it is let through, since this backend is not known to be down, or none that had the traffic to be ready".into(),
        })
    };
    put.iter().map(problem).collect()
}

fn way_out(ready: &[String], set: &DeclaredSet, new: &Declaration, readable: bool) -> String {
    let keeps = set.backends.iter().any(|b| ready.contains(&b.name));
    let fails_over = new.failing_over().any(|other| other.name == set.name);
    let ready = ready.join(", ");
    if !readable {
        "what the warnings name keeps the live weights from being kept for you: mend it in the same change, or give the live weights".into()
    } else if !keeps {
        format!(
            "{ready} is ready: keep it until another backend of this rule is, pause the object, or take its label off"
        )
    } else if !fails_over {
        format!(
            "{ready} is ready, and this edit ends the failover of the rule: let failover.linkerd.io/primary-service name its primary too, pause the object, or take its label off"
        )
    } else {
        "try again: the mutating webhook of linkerd-failover, which keeps the live weights, was not reached".into()
    }
}

/// Whether an edit puts weight on a backend that had none.
fn is_put_on(backend: &DeclaredBackend, previous: &PreviousSet, set: &DeclaredSet) -> bool {
    let has = backend.weight.whole().is_some_and(|weight| weight > 0) || set.is_alone();
    let written = previous.state.as_ref().and_then(|state| state.weights.get(&backend.name));
    let had = written.or_else(|| previous.live.get(&backend.name)).is_some_and(|w| *w > 0);
    has && !had && !previous.active().contains(&backend.name)
}

fn weight(backend: &DeclaredBackend, set: &DeclaredSet) -> String {
    match backend.weight.whole() {
        // The weight of the only backend of a rule has no effect.
        _ if set.is_alone() => "all traffic".into(),
        Some(weight) => weight.to_string(),
        None => "a weight".into(),
    }
}

/// The health of the present and the former backends of a set, whatever else is wrong with the object.
fn health_of(
    previous: &PreviousSet,
    set: &DeclaredSet,
    new: &Declaration,
    view: &View<'_>,
) -> BTreeMap<String, Health> {
    let mut backends: Vec<DeclaredBackend> = vec![];
    for backend in set.backends.iter().chain(&previous.backends) {
        let is_new = backends.iter().all(|b| b.name != backend.name);
        if is_new && new.can_name(&backend.name) {
            backends.push(DeclaredBackend { weight: ParsedWeight::Whole(1), ..backend.clone() });
        }
    }
    let bare = Declaration {
        sets: vec![DeclaredSet {
            name: String::new(),
            unreadable: vec![],
            backends,
            ..set.clone()
        }],
        annotations: Annotations::default(),
        unreadable: vec![],
        ..new.clone()
    };
    let intents = view.intents(&bare).unwrap_or_default();
    let named = intents
        .iter()
        .flat_map(|intent| intent.backends.iter().map(|b| b.name.clone()).zip(view.health(intent)));
    named.collect()
}

#[cfg(test)]
#[path = "undone_failover_tests.rs"]
mod tests;
