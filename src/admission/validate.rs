//! Validation: what failover could not work with is refused, what may hurt is said.

use super::{Presence, View};
use crate::failover::{Declaration, Intent, Problem, annotations, closest};
use crate::resources::{ObjectKey, traffic_split};
use jiff::Timestamp;
use kube::ResourceExt;
use kube::core::DynamicObject;

/// The judgement of an object.
#[derive(Debug, Default, PartialEq)]
pub struct Verdict {
    /// Each of these alone refuses the object.
    pub errors: Vec<Problem>,
    pub warnings: Vec<Problem>,
}

/// Judges the final object of a request, and trusts no mutator.
pub fn validate(old: Option<&DynamicObject>, new: &DynamicObject, view: &View<'_>) -> Verdict {
    if !view.manages(new) || new.metadata.deletion_timestamp.is_some() {
        return Verdict::default();
    }
    let old = old.filter(|old| view.manages(old)).map(traffic_split::read);
    let declared = traffic_split::read(new);
    let inherited = old.as_ref().map(|old| problems(old, view)).unwrap_or_default();

    let mut verdict = Verdict::default();
    for problem in problems(&declared, view) {
        // A fix must never be blocked by what was wrong before.
        if !problem.is_error() || inherited.iter().any(|before| same(before, &problem)) {
            verdict.warnings.push(problem);
        } else {
            verdict.errors.push(problem);
        }
    }
    let intent = view.intent(&declared).ok();
    // While an object is paused, what its author writes takes effect.
    let paused = intent.as_ref().is_some_and(|intent| intent.policy.paused);
    if let Some(old) = old.as_ref().filter(|_| !paused) {
        verdict.errors.extend(undoing(old, &declared));
    }
    if let Some(intent) = &intent {
        verdict.warnings.extend(time_and_health(intent, view));
    }
    verdict.warnings.extend(annotations::without_effect(&declared.annotations));
    verdict.warnings.extend(neighbour(new, &declared, view));
    verdict
}

/// All that is wrong with an object by itself and with the Services it names.
fn problems(declared: &Declaration, view: &View<'_>) -> Vec<Problem> {
    let mut problems = view.intent(declared).err().unwrap_or_default();
    let apex = [(&declared.apex, "spec.service".to_owned())];
    let backends = declared.backends.iter().map(|b| (&b.name, format!("{}.service", b.path)));
    for (name, field) in apex.into_iter().chain(backends).filter(|(name, _)| !name.is_empty()) {
        problems.extend(missing(name, field, view));
    }
    problems
}

fn missing(name: &str, field: String, view: &View<'_>) -> Option<Problem> {
    let expected = format!("a Service in namespace {}", view.namespace);
    match view.presence(name) {
        Presence::Exists => None,
        Presence::NotKnown => Some(
            Problem::warning(field)
                .found(format!("{name:?}, which could not be looked up"))
                .expected(expected)
                .next(format!("check with: kubectl -n {} get service {name}", view.namespace)),
        ),
        Presence::Missing => {
            let near = closest(name, view.index.services_in(view.namespace));
            let problem = Problem::error(field)
                .found(format!("{name:?}, which does not exist"))
                .expected(expected);
            Some(match near {
                Some(near) => problem.next(format!("did you mean {near}?")),
                None => problem.next("create it first, or in the same file before this object"),
            })
        }
    }
}

/// An edit that puts traffic where a failover took it away: the mutating webhook would have kept
/// the weights, so it was skipped.
fn undoing(old: &Declaration, new: &Declaration) -> Vec<Problem> {
    let Some(set) = old.state().and_then(|mut state| state.sets.remove("")) else { return vec![] };
    let some_remain = new.backends.iter().any(|b| set.active.contains(&b.name));
    let off = |name: &String| set.weights.get(name) == Some(&0) && !set.active.contains(name);
    let backends = new.backends.iter().filter(|b| some_remain && off(&b.name));
    backends
        .filter_map(|backend| {
            let weight = backend.weight.whole().filter(|weight| *weight > 0)?;
            Some(
                Problem::error(format!("{}.weight", backend.path))
                    .found(format!("{weight} for {}", backend.name))
                    .expected(format!(
                        "0 while traffic is on {} ({})",
                        set.active.join(", "),
                        set.why
                    ))
                    .next("try again: the mutating webhook of linkerd-failover, which keeps the live weights, was not reached"),
            )
        })
        .collect()
}

/// What is legal and may not do what its author means: it depends on the time of day and on what is
/// ready, so nothing is denied for it.
fn time_and_health(intent: &Intent, view: &View<'_>) -> Vec<Problem> {
    let warning = |name: &str| Problem::warning(annotations::field(name));
    let (policy, now) = (&intent.policy, view.now.wall);
    let mut warnings = vec![];
    if let Some(pin) = &policy.pin {
        let health = view.health(intent);
        let some_ready = pin
            .backends
            .iter()
            .any(|i| health.get(*i).is_some_and(|health| health.is_ready() || health.is_unknown()));
        let told: Vec<_> = pin
            .backends
            .iter()
            .filter_map(|i| Some(format!("{} ({})", intent.backends[*i].name, health.get(*i)?)))
            .collect();
        if policy.pin_at(now).is_some() && !some_ready {
            warnings.push(
                warning(annotations::PIN)
                    .found(told.join(", "))
                    .expected("a backend with ready endpoints; a pin wins over health, so callers will get errors")
                    .next(format!("remove {} to let health decide", annotations::PIN)),
            );
        }
    }
    let ended = policy.pin.as_ref().and_then(|pin| pin.until).filter(|until| *until <= now);
    if let Some(until) = ended {
        warnings.push(
            warning(annotations::PIN_UNTIL)
                .found(format!("{until}, which is past"))
                .expected(format!("a time after now, {}", second(now)))
                .next("the pin has ended: health decides"),
        );
    }
    match policy.failback_requested {
        Some(_) if !policy.manual_failback => warnings.push(
            warning(annotations::FAILBACK_REQUESTED).found("a request").expected(format!(
                "{}: manual beside it; without, traffic returns by itself",
                annotations::FAILBACK
            )),
        ),
        Some(at) if at > now => warnings.push(
            warning(annotations::FAILBACK_REQUESTED)
                .found(format!("{at}, which is to come"))
                .expected(format!("a time until now, {}", second(now)))
                .next("traffic returns then, if the primary is ready"),
        ),
        _ => {}
    }
    warnings
}

fn second(time: Timestamp) -> Timestamp {
    Timestamp::from_second(time.as_second()).unwrap_or(time)
}

/// Two objects on one apex overwrite each other's routing. Only a warning: the other may go next.
fn neighbour(new: &DynamicObject, declared: &Declaration, view: &View<'_>) -> Option<Problem> {
    let key = ObjectKey::new(view.namespace, new.name_any());
    let created = new.creation_timestamp().map_or(i64::MAX, |t| t.0.as_second());
    let winner = view.index.winner_over(&key, &declared.apex, created)?;
    Some(
        Problem::warning("spec.service")
            .found(format!("{:?}, the apex of {} too", declared.apex, winner.name))
            .expected("one object for an apex")
            .next(format!(
                "they overwrite each other's routing: delete one of the two; {} is the older",
                winner.name
            )),
    )
}

/// Whether two problems are the same fault, wherever in a list it stands.
fn same(one: &Problem, other: &Problem) -> bool {
    let place = |p: &Problem| p.field.replace(|c: char| c.is_ascii_digit(), "");
    place(one) == place(other) && one.found == other.found && one.expected == other.expected
}

#[cfg(test)]
#[path = "validate_tests.rs"]
mod tests;
