//! Backends that are declared down: which declarations count, and for whom.

use crate::engine::health::{DownBasis, DownUntil};
use crate::engine::recorded_down::RecordedDown;
use crate::engine::{Backend, Health, Intent, Peaks, SetState};
use jiff::Timestamp;
use std::borrow::Cow;

/// Health with the declarations that count at this time: those that hold, and those whose backend stays away
/// longer because it was declared down again soon after its return.
pub(crate) fn in_force<'a>(
    intent: &Intent,
    health: &'a [Health],
    state: Option<&SetState>,
    now: Timestamp,
) -> Cow<'a, [Health]> {
    let Some(state) = state.filter(|state| !state.down.is_empty()) else {
        return Cow::Borrowed(health);
    };
    let each = intent.backends.iter().zip(health);
    let each = each.map(|(backend, health)| match state.down.get(&backend.name) {
        Some(recorded) => {
            let has_traffic = state.active.contains(&backend.name);
            prolonged(health, recorded, has_traffic, now)
        }
        None => health.clone(),
    });
    Cow::Owned(each.collect())
}

/// The declaration of a backend of which this is recorded. Only what traffic leaves stays away longer for it.
fn prolonged(
    health: &Health,
    recorded: &RecordedDown,
    has_traffic: bool,
    now: Timestamp,
) -> Health {
    let leaves_now = || recorded.next_earliest_return(now).filter(|_| has_traffic);
    match (health, recorded.earliest_return(now)) {
        (Health::DeclaredDown(down), earliest) => {
            let later = earliest.or_else(leaves_now).filter(|earliest| down.until < *earliest);
            let Some(until) = later else { return health.clone() };
            let basis = DownBasis::Prolonged;
            Health::DeclaredDown(Box::new(DownUntil { until, basis, ..(**down).clone() }))
        }
        (health, Some(until)) => down(health, until, DownBasis::Prolonged, recorded),
        (health, None) => health.clone(),
    }
}

/// Health for a replica that does not lead. Two wall clocks would fight: of the backends that have the traffic,
/// and of those that it has left for a declaration, what the leader has recorded counts and nothing else.
pub(crate) fn as_recorded(
    intent: &Intent,
    health: &[Health],
    state: Option<&SetState>,
) -> Vec<Health> {
    let recorded = |name: &String| state?.down.get(name).filter(|recorded| recorded.is_away());
    let has_traffic = |backend: &Backend| match state {
        Some(state) => state.active.contains(&backend.name),
        None => backend.live > 0,
    };
    let each = intent.backends.iter().zip(health);
    each.map(|(backend, health)| match (health, recorded(&backend.name)) {
        (Health::DeclaredDown(_), Some(_)) => health.clone(),
        (_, Some(recorded)) => down(health, recorded.since, DownBasis::Recorded, recorded),
        (_, None) if has_traffic(backend) => health.undeclared().clone(),
        (_, None) => health.clone(),
    })
    .collect()
}

fn down(health: &Health, until: Timestamp, basis: DownBasis, recorded: &RecordedDown) -> Health {
    let (by_person, why) = (recorded.person, "".into());
    let seen = health.undeclared().clone();
    Health::DeclaredDown(Box::new(DownUntil { until, why, basis, by_person, seen }))
}

/// Health as traffic follows it. Where no other backend meets its minimum, those that are declared down count
/// as what their endpoints are.
pub(super) fn effective<'a>(
    intent: &Intent,
    health: &'a [Health],
    peaks: Option<&Peaks>,
) -> Cow<'a, [Health]> {
    let none = Peaks::new();
    let peaks = peaks.unwrap_or(&none);
    let mut others = intent.backends.iter().zip(health);
    let is_any_declared = health.iter().any(|health| health.declared().is_some());
    if !is_any_declared || others.any(|(backend, health)| backend.is_met_by(health, peaks)) {
        return Cow::Borrowed(health);
    }
    Cow::Owned(health.iter().map(|health| health.undeclared().clone()).collect())
}

#[cfg(test)]
#[path = "declared_down_tests.rs"]
mod tests;
