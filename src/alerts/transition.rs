//! What an alert makes of the declaration that a Service is down: a function of what stands there, the alert
//! and the time.
//!
//! An alert never shortens, ends or replaces what a person or another alert has declared.

use crate::alerts::notification::{Alert, AlertStatus};
use crate::alerts::settings::StaySettings;
use crate::engine::to_the_second;
use crate::kinds::declared_down::{DeclaredDown, DownAlert, DownBy};
use crate::telemetry::AlertOutcome;
use jiff::{SignedDuration, Timestamp};

/// Alerts that declare one Service down at once.
const MOST: usize = 32;
/// An alert that fires on is written again once that makes its declaration longer by this fraction.
const WRITTEN_FRACTION: i32 = 10;

/// The declaration after an alert, and what became of the alert.
#[derive(Debug, PartialEq)]
pub(super) struct Transition {
    pub declared: Option<DeclaredDown>,
    pub outcome: AlertOutcome,
}

/// What several alerts make of a declaration, one after the other.
pub(super) fn after_all(
    mut declared: Option<DeclaredDown>,
    alerts: &[Alert],
    stay: StaySettings,
    now: Timestamp,
) -> (Option<DeclaredDown>, Vec<AlertOutcome>) {
    let mut outcomes = vec![];
    for alert in alerts {
        let next = after(declared, alert, stay, now);
        declared = next.declared;
        outcomes.push(next.outcome);
    }
    (declared, outcomes)
}

/// What an alert makes of a declaration.
pub(super) fn after(
    declared: Option<DeclaredDown>,
    alert: &Alert,
    stay: StaySettings,
    now: Timestamp,
) -> Transition {
    let (is_by_alerts, has_ended) =
        declared.as_ref().map_or((true, true), |d| (d.is_by_alerts(), d.has_ended(now)));
    match alert.status {
        _ if !is_by_alerts && !has_ended => unchanged(declared, AlertOutcome::ByPerson),
        AlertStatus::Resolved if !is_by_alerts => unchanged(declared, AlertOutcome::Unchanged),
        AlertStatus::Resolved => resolved(declared, &alert.fingerprint, stay, now),
        AlertStatus::Firing => firing(declared, alert, stay, now),
    }
}

fn unchanged(declared: Option<DeclaredDown>, outcome: AlertOutcome) -> Transition {
    Transition { declared, outcome }
}

/// The alert fires: its own entry lasts longer from now on.
fn firing(
    declared: Option<DeclaredDown>,
    alert: &Alert,
    stay: StaySettings,
    now: Timestamp,
) -> Transition {
    let mut alerts = in_force(declared.as_ref(), now);
    let place = alerts.iter().position(|own| own.fingerprint == alert.fingerprint);
    let outcome = match place {
        Some(place) => {
            let own = &mut alerts[place];
            let until = end_of_firing(own.since, stay, now);
            if own.until.duration_until(until) < stay.lasts / WRITTEN_FRACTION {
                return unchanged(declared, AlertOutcome::Unchanged);
            }
            own.until = until;
            AlertOutcome::Extended
        }
        None if alerts.len() >= MOST => return unchanged(declared, AlertOutcome::TooMany),
        None => {
            let (since, until) = (to_the_second(now), end_of_firing(now, stay, now));
            alerts.push(DownAlert { fingerprint: alert.fingerprint.clone(), since, until });
            AlertOutcome::Declared
        }
    };
    Transition { declared: by_alerts(alerts, Some(alert.reason.clone())), outcome }
}

/// The alert is resolved: its own entry ends, once the minimum stay has passed.
fn resolved(
    declared: Option<DeclaredDown>,
    fingerprint: &str,
    stay: StaySettings,
    now: Timestamp,
) -> Transition {
    let mut alerts = in_force(declared.as_ref(), now);
    let Some(place) = alerts.iter().position(|own| own.fingerprint == fingerprint) else {
        return unchanged(declared, AlertOutcome::Unchanged);
    };
    let end = later(alerts[place].since, stay.minimum);
    let outcome = if end <= now {
        alerts.remove(place);
        AlertOutcome::Ended
    } else if end < alerts[place].until {
        alerts[place].until = end;
        AlertOutcome::Shortened
    } else {
        return unchanged(declared, AlertOutcome::Unchanged);
    };
    let reason = declared.and_then(|declared| declared.reason);
    Transition { declared: by_alerts(alerts, reason), outcome }
}

/// The alerts whose entries have not ended. Where a person has changed the time, none counts any more.
fn in_force(declared: Option<&DeclaredDown>, now: Timestamp) -> Vec<DownAlert> {
    match declared {
        Some(declared @ DeclaredDown { by: DownBy::Alerts(alerts), .. })
            if declared.is_by_alerts() =>
        {
            alerts.iter().filter(|alert| alert.until > now).cloned().collect()
        }
        _ => vec![],
    }
}

/// When the entry of an alert ends that fires now.
fn end_of_firing(since: Timestamp, stay: StaySettings, now: Timestamp) -> Timestamp {
    later(now, stay.lasts).max(later(since, stay.minimum))
}

/// A declaration by these alerts; none where there are none.
fn by_alerts(alerts: Vec<DownAlert>, reason: Option<String>) -> Option<DeclaredDown> {
    let until = alerts.iter().map(|alert| alert.until).max()?;
    Some(DeclaredDown { until, reason, by: DownBy::Alerts(alerts) })
}

/// To the second, as it is written.
fn later(time: Timestamp, by: SignedDuration) -> Timestamp {
    to_the_second(time.saturating_add(by).unwrap_or(time))
}

#[cfg(test)]
#[path = "transition_tests.rs"]
mod tests;
