//! What keeps traffic where it is because somebody wants it so.

use crate::checks::facts::Facts;
use crate::checks::outcome::Outcome;
use crate::engine::annotations;
use crate::kinds::changed_by::{ChangedBy, Intervention};
use crate::reconciler::traffic_on::TrafficOn;
use crate::snapshot::Freeze;
use crate::snapshot::row::{ObjectRow, SetRow};
use jiff::Timestamp;

pub(super) fn frozen(facts: &Facts) -> Outcome {
    facts.by_snapshot(|snapshot, _| {
        let hold = |freeze: Freeze| Hold {
            has_end: freeze.until.is_some(),
            text: format!(
                "found the cluster {}, expected none: nothing fails over; end it by: linkerd-failover unfreeze",
                state("frozen", freeze.until, freeze.by.as_ref())
            ),
        };
        outcome(snapshot.freeze().map(hold))
    })
}

pub(super) fn braked(facts: &Facts) -> Outcome {
    facts.by_snapshot(|snapshot, _| {
        let namespace = &facts.settings.installation.namespace;
        Outcome::errors(snapshot.braked_since.map(|since| format!(
            "found the brake since {since}, expected none: too many objects would leave their primaries at once; if that is right, release it by: kubectl annotate --overwrite namespace {namespace} {}=$(date -u +%FT%TZ)",
            annotations::BRAKE_RELEASED
        )))
    })
}

pub(super) fn paused(facts: &Facts) -> Outcome {
    facts.by_snapshot(|_, rows| {
        let rows = rows.iter().filter(|row| row.on == TrafficOn::Paused);
        outcome(rows.map(|row| {
            let until = sets(row).find_map(|set| set.intent.policy.paused_until);
            Hold {
                has_end: until.is_some(),
                text: format!(
                    "found {} {}, expected none: it does not fail over; end it by: {}",
                    row.object,
                    state("paused", until, by(row, &[Intervention::Pause])),
                    command("resume", row),
                ),
            }
        }))
    })
}

pub(super) fn pinned(facts: &Facts) -> Outcome {
    facts.by_snapshot(|_, rows| {
        let rows = rows.iter().filter(|row| row.on == TrafficOn::Pinned);
        outcome(rows.map(|row| {
            let mut pins = sets(row).filter_map(|set| set.intent.policy.pin.as_ref());
            let until = pins.find_map(|pin| pin.until);
            Hold {
                has_end: until.is_some(),
                text: format!(
                    "found {} {}, expected none: its health moves no traffic; end it by: {}",
                    row.object,
                    state("pinned", until, by(row, &[Intervention::Pin, Intervention::Drill])),
                    command("unpin", row),
                ),
            }
        }))
    })
}

fn sets(row: &ObjectRow) -> impl Iterator<Item = &SetRow> {
    row.sets.iter().flatten()
}

/// Who did it by a command, where that is what was done last.
fn by<'a>(row: &'a ObjectRow, actions: &[Intervention]) -> Option<&'a ChangedBy> {
    row.changed_by.as_ref().filter(|by| actions.contains(&by.action))
}

/// What a person has stopped.
struct Hold {
    has_end: bool,
    text: String,
}

/// One that ends by itself is meant so; one without an end is what is forgotten.
fn outcome(holds: impl IntoIterator<Item = Hold>) -> Outcome {
    let (meant, endless): (Vec<Hold>, Vec<Hold>) = holds.into_iter().partition(|hold| hold.has_end);
    let text = |hold: Hold| hold.text;
    Outcome::graded(endless.into_iter().map(text), meant.into_iter().map(text))
}

/// By whom, where a command did it, and until when.
fn state(what: &str, until: Option<Timestamp>, by: Option<&ChangedBy>) -> String {
    match (by, until) {
        (Some(by), Some(_)) => by.to_string(),
        (Some(by), None) => format!("{by}, without an end"),
        (None, Some(until)) => format!("{what} until {until}"),
        (None, None) => format!("{what} without an end"),
    }
}

fn command(action: &str, row: &ObjectRow) -> String {
    let (kind, key) = (row.object.kind.resource(), &row.object.key);
    format!("linkerd-failover {action} {kind}/{} -n {}", key.name, key.namespace)
}
