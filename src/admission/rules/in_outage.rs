//! Edits in an outage: what would put traffic back on what is down is refused, and nothing else.

use crate::admission::previous::{PreviousObject, PreviousSet};
use crate::admission::view::View;
use crate::engine::{
    Annotations, Declaration, DeclaredBackend, DeclaredSet, Health, ParsedWeight, Problem,
};
use std::collections::BTreeMap;

/// Weight that an edit puts where a failover took it away. It is refused where that backend is known
/// to be down while one that had the traffic of the rule is known to be ready; everything else may be
/// a fix, and is let through with a warning.
///
/// Where the mutating webhook was reached it has kept the weights.
pub(crate) fn undoing(
    known: &PreviousObject,
    new: &Declaration,
    readable: bool,
    paused: bool,
    view: &View<'_>,
) -> Vec<Problem> {
    let of_set = |set: &DeclaredSet| {
        let Some(known) = known.set(&set.name).filter(|known| known.state.is_some()) else {
            return vec![];
        };
        undoing_in(known, set, new, readable, paused, view)
    };
    new.sets.iter().flat_map(of_set).collect()
}

fn undoing_in(
    known: &PreviousSet,
    set: &DeclaredSet,
    new: &Declaration,
    readable: bool,
    paused: bool,
    view: &View<'_>,
) -> Vec<Problem> {
    let put: Vec<&DeclaredBackend> =
        set.backends.iter().filter(|b| is_put_on(b, known, set)).collect();
    if put.is_empty() {
        return vec![];
    }
    let health = health_of(known, set, new, view);
    let is_down = |name: &str| health.get(name).is_some_and(|h| !h.is_ready() && !h.is_unknown());
    let ready: Vec<String> = known
        .active()
        .into_iter()
        .filter(|name| health.get(name).is_some_and(Health::is_ready))
        .collect();
    let is_refused = |b: &DeclaredBackend| !paused && is_down(&b.name) && !ready.is_empty();
    let why = known.state.as_ref().map_or("", |state| state.why.as_str());
    let problem = |backend: &&DeclaredBackend| {
        let refused = is_refused(backend);
        let found = format!("{} for {}", weight(backend, set), backend.name);
        let field = backend.path.field("weight");
        let problem = if refused { Problem::error(field) } else { Problem::warning(field) };
        let active = known.active().join(", ");
        let expected = match why {
            "" => format!("0 while traffic is on {active}"),
            why => format!("0 while traffic is on {active} ({why})"),
        };
        problem.found(found).expected(expected).about(backend.name.as_str()).next(match refused {
            true => way_out(&ready, set, new, readable),
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
fn is_put_on(backend: &DeclaredBackend, known: &PreviousSet, set: &DeclaredSet) -> bool {
    let has = backend.weight.whole().is_some_and(|weight| weight > 0) || is_alone(set);
    let written = known.state.as_ref().and_then(|state| state.weights.get(&backend.name));
    let had = written.or_else(|| known.live.get(&backend.name)).is_some_and(|w| *w > 0);
    has && !had && !known.active().contains(&backend.name)
}

/// The weight of the only backend of a rule is not looked at.
fn is_alone(set: &DeclaredSet) -> bool {
    !set.name.is_empty() && set.backends.len() == 1
}

fn weight(backend: &DeclaredBackend, set: &DeclaredSet) -> String {
    match backend.weight.whole() {
        _ if is_alone(set) => "all traffic".into(),
        Some(weight) => weight.to_string(),
        None => "a weight".into(),
    }
}

/// What is known of the backends that a set has, and of those that it had, whatever else is wrong
/// with the object.
fn health_of(
    known: &PreviousSet,
    set: &DeclaredSet,
    new: &Declaration,
    view: &View<'_>,
) -> BTreeMap<String, Health> {
    let mut backends: Vec<DeclaredBackend> = vec![];
    for backend in set.backends.iter().chain(&known.backends) {
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

/// Weights that are all zero leave proxies on their old weights for good: none of ours ever are, and
/// none by hand either.
pub(crate) fn all_zero(
    known: Option<&PreviousObject>,
    declared: &Declaration,
    paused: bool,
) -> Vec<Problem> {
    let is_zero = |weight: Option<u32>| weight == Some(0);
    let all_zero = |set: &&DeclaredSet| {
        !set.backends.is_empty()
            && !is_alone(set)
            && set.backends.iter().all(|b| is_zero(b.weight.whole()))
    };
    let failing_over: Vec<&str> = declared.failing_over().map(|set| set.name.as_str()).collect();
    let problem = |set: &DeclaredSet| {
        let was = known.and_then(|known| known.set(&set.name));
        let inherited =
            was.is_some_and(|was| !was.live.is_empty() && was.live.values().all(|w| *w == 0));
        // At birth the weights are a wish, and the first flip puts them right.
        let is_ours = failing_over.contains(&set.name.as_str()) && (paused || known.is_some());
        let problem = match is_ours && !inherited {
            true => Problem::error(&set.path),
            false => Problem::warning(&set.path),
        };
        problem
            .found("weight 0 for every backend")
            .expected("a backend with weight")
            .next("with none, Linkerd's proxies fail, or go on by their old weights for good; give 1 to the backend that is to have the traffic")
    };
    declared.sets.iter().filter(all_zero).map(problem).collect()
}

#[cfg(test)]
#[path = "in_outage_tests.rs"]
mod tests;
