//! Whether an action may be done to an object, by what is known of it.

use crate::engine::{Problem, closest};
use crate::interventions::action::Action;
use crate::interventions::refusal::Refusal;
use crate::reconciler::traffic_on::{Stopped, TrafficOn};
use crate::snapshot::row::{BackendRow, ObjectRow, SetRow};
use std::collections::BTreeSet;

/// Whether an action may be done; `force` allows traffic to what is not ready.
pub(crate) fn check(action: &Action, row: &ObjectRow, force: bool) -> Result<(), Refusal> {
    match action {
        Action::Pin { backends } => check_pin(backends, row, force),
        Action::Failback => check_failback(row, force),
        _ => Ok(()),
    }
}

/// What keeps an action that may be done from taking effect now.
pub(crate) fn hindrances(action: &Action, row: &ObjectRow, stopped: Stopped) -> Vec<&'static str> {
    if !matches!(action, Action::Pin { .. } | Action::Unpin | Action::Failback) {
        return vec![];
    }
    let paused = "the object is paused: traffic stays where it is until `linkerd-failover resume`";
    let frozen =
        "the cluster is frozen: traffic stays where it is until `linkerd-failover unfreeze`";
    let is_paused = row.on == TrafficOn::Paused;
    [is_paused.then_some(paused), stopped.frozen.then_some(frozen)].into_iter().flatten().collect()
}

/// The sets of an object that can be read.
pub(crate) fn sets(row: &ObjectRow) -> Result<&[SetRow], Refusal> {
    row.sets.as_deref().map_err(|problems| {
        let causes: Vec<String> = problems.iter().map(Problem::to_string).collect();
        Refusal::new(
            format!("an object that cannot be read ({})", causes.join("; ")),
            "one that can be",
            "mend these fields first",
        )
    })
}

fn check_pin(backends: &[String], row: &ObjectRow, force: bool) -> Result<(), Refusal> {
    let sets = sets(row)?;
    for backend in backends {
        let rows: Vec<&BackendRow> = named(sets, backend).collect();
        if rows.is_empty() {
            return Err(unknown(sets, backend));
        }
        match rows.iter().find(|row| !row.health.is_ready()) {
            Some(row) if !force => return Err(not_ready(row)),
            _ => {}
        }
    }
    Ok(())
}

fn named<'a>(sets: &'a [SetRow], backend: &str) -> impl Iterator<Item = &'a BackendRow> {
    sets.iter().flat_map(|set| &set.backends).filter(move |row| row.name == backend)
}

fn unknown(sets: &[SetRow], backend: &str) -> Refusal {
    let names: BTreeSet<&str> =
        sets.iter().flat_map(|set| &set.backends).map(|row| row.name.as_str()).collect();
    let near = closest(backend, names.iter().copied());
    let names: Vec<&str> = names.iter().copied().collect();
    let next = near.map_or("name one of its backends".to_owned(), |n| format!("did you mean {n}?"));
    Refusal::new(
        format!("the backend {backend:?}"),
        format!("one of its backends, {}", names.join(", ")),
        next,
    )
}

fn not_ready(row: &BackendRow) -> Refusal {
    Refusal::new(
        format!("{}, {}", row.name, row.health),
        "a backend that is known to be ready",
        "callers would get errors; --force sends the traffic there all the same",
    )
}

fn check_failback(row: &ObjectRow, force: bool) -> Result<(), Refusal> {
    let sets = sets(row)?;
    if !sets.iter().any(|set| set.intent.policy.manual_failback) {
        return Err(Refusal::new(
            "an object that returns by itself",
            "the annotation failback: manual",
            "a failback is requested only where traffic waits for a person",
        ));
    }
    let primaries = |set: &SetRow| {
        set.backends.iter().filter(|backend| backend.tier == 0).cloned().collect::<Vec<_>>()
    };
    let is_ready = |backend: &BackendRow| backend.meets_minimum == Some(true);
    let away = sets.iter().map(primaries).find(|primaries| !primaries.iter().any(is_ready));
    match away.as_ref().and_then(|primaries| primaries.first()) {
        Some(primary) if !force => Err(Refusal::new(
            format!("{}, {}", primary.name, primary.health),
            "a primary that is ready",
            "wait until it is back; with --force traffic returns as soon as it is",
        )),
        _ => Ok(()),
    }
}

#[cfg(test)]
#[path = "checks_tests.rs"]
mod tests;
