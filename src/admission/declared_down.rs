//! The review of a Service that is declared down: whether its annotations can be read, and what they will do.

use crate::admission::validate::Validation;
use crate::engine::annotations::{DOWN_UNTIL, field};
use crate::engine::{Now, Peaks, Problem, to_the_second};
use crate::index::managed_object::{ManagedObject, ManagedSet};
use crate::index::store::Index;
use crate::kinds::declared_down::{DeclaredDown, DownReading};
use crate::kinds::{ObjectKey, ObjectRef};
use jiff::{SignedDuration, Timestamp};
use std::collections::BTreeMap;
use std::fmt::Write;

/// A declaration for longer is taken for a slip: a warning says so.
const LONG: SignedDuration = SignedDuration::from_hours(168);

/// The most objects that a warning names.
const NAMED: usize = 5;
/// The most objects that are looked at: a review takes no time from flips.
const MOST: usize = 1_000;

/// What is wrong with the declaration on a Service.
pub(crate) fn problems(
    service: &ObjectKey,
    annotations: &BTreeMap<String, String>,
    index: &Index,
    now: Now,
) -> Validation {
    let read = DeclaredDown::read(annotations);
    let declares = read.declared.as_ref().is_some_and(|declared| !declared.has_ended(now.wall));
    let mut validation = judged(read, now.wall);
    if declares && index.synced.all() {
        validation.warnings.extend(effect(service, index, now));
    }
    validation
}

/// The same of the declaration on a cluster's credentials Secret, which is about every Service of that cluster.
pub(crate) fn problems_of_cluster(
    annotations: &BTreeMap<String, String>,
    now: Timestamp,
) -> Validation {
    judged(DeclaredDown::read(annotations), now)
}

fn judged(read: DownReading, now: Timestamp) -> Validation {
    let (errors, mut warnings): (Vec<Problem>, Vec<Problem>) =
        read.problems.into_iter().partition(Problem::is_error);
    warnings.extend(read.declared.and_then(|declared| out_of_time(&declared, now)));
    Validation { errors, warnings }
}

/// Nothing is denied for the time of day.
fn out_of_time(declared: &DeclaredDown, now: Timestamp) -> Option<Problem> {
    let problem = || Problem::warning(field(DOWN_UNTIL)).found(declared.until);
    let now_is = format!("it is {} now", to_the_second(now));
    if declared.has_ended(now) {
        let problem = problem().expected("a time that is still to come");
        return Some(problem.next(format!("{now_is}: this has no effect")));
    }
    let is_long = now.duration_until(declared.until) > LONG;
    is_long.then(|| {
        let problem = problem().expected(format!("a time within {}h", LONG.as_hours()));
        problem.next(format!("{now_is}: the Service counts as down until then"))
    })
}

/// What a person would not expect of it: nothing moves, or not everything.
fn effect(service: &ObjectKey, index: &Index, now: Now) -> Option<Problem> {
    let mut objects = index.objects_with_backend(service).take(MOST).peekable();
    if objects.peek().is_none() {
        return Some(unnamed(service));
    }
    let alone = |(object, managed): (&ObjectRef, &ManagedObject)| {
        let mut sets = managed.readable().iter();
        let healths = sets.find_map(|set| healths_without_refuge(set, object, service, index, now));
        healths.map(|healths| format!("{} {} ({healths})", object.kind, object.name()))
    };
    let alone: Vec<String> = objects.filter_map(alone).collect();
    (!alone.is_empty()).then(|| without_refuge(service, &alone))
}

fn unnamed(service: &ObjectKey) -> Problem {
    Problem::warning(field(DOWN_UNTIL))
        .found(format!("Service {}, which no failover object has among its backends", service.name))
        .expected("a primary or a fallback of a failover object")
        .next("nothing moves")
}

/// The health of the other backends of a set that has the Service, where none of them meets its minimum.
fn healths_without_refuge(
    set: &ManagedSet,
    object: &ObjectRef,
    service: &ObjectKey,
    index: &Index,
    now: Now,
) -> Option<String> {
    let (intent, none) = (&set.intent, Peaks::new());
    let peaks = set.state.as_ref().map_or(&none, |state| &state.peaks);
    let health = index.health(object.namespace(), intent, now);
    let is_other = |name: &String| object.beside(name) != *service;
    if intent.backends.iter().all(|backend| is_other(&backend.name)) {
        return None;
    }
    let mut others =
        intent.backends.iter().zip(&health).filter(|(backend, _)| is_other(&backend.name));
    if others.clone().any(|(backend, health)| backend.is_met_by(health, peaks)) {
        return None;
    }
    let first = others.next().map(|(backend, health)| format!("{}: {health}", backend.name));
    Some(first.unwrap_or_else(|| "it has no other backend".into()))
}

fn without_refuge(service: &ObjectKey, alone: &[String]) -> Problem {
    let mut named = alone.iter().take(NAMED).map(String::as_str).collect::<Vec<_>>().join(", ");
    let more = alone.len().saturating_sub(NAMED);
    if more > 0 {
        // Writing to a String does not fail.
        let _ = write!(named, " and {more} more");
    }
    Problem::warning(field(DOWN_UNTIL))
        .found(format!("Service {}", service.name))
        .expected("another ready backend in each object that has it")
        .next(format!("none is ready in {named}: traffic stays on it until one is"))
}

#[cfg(test)]
#[path = "declared_down_tests.rs"]
mod tests;
