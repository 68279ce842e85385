//! What keeps traffic where it is because somebody wants it so.

use crate::checks::facts::Facts;
use crate::checks::outcome::Outcome;
use crate::engine::annotations;
use crate::reconciler::traffic_on::TrafficOn;
use crate::snapshot::NextStep;

/// Nothing fails over: that is no state to forget.
pub(super) fn frozen(facts: &Facts) -> Outcome {
    facts.by_snapshot(|snapshot, _| {
        let namespace = &facts.settings.installation.namespace;
        let fault = || format!(
            "found {}: \"true\" on namespace {namespace}, expected none: nothing fails over; unfreeze it by: kubectl annotate namespace {namespace} {}-",
            annotations::FROZEN, annotations::FROZEN
        );
        Outcome::errors(snapshot.index.cluster_wide.frozen.then(fault))
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
        Outcome::warnings(rows.map(|row| {
            format!("found {} paused, expected none: it does not fail over", row.object)
        }))
    })
}

pub(super) fn pinned(facts: &Facts) -> Outcome {
    facts.by_snapshot(|_, rows| {
        let rows = rows.iter().filter(|row| row.on == TrafficOn::Pinned);
        Outcome::warnings(rows.map(|row| {
            let next = row.sets.iter().flatten().flat_map(|set| &set.next);
            let until = next
                .filter(|wait| matches!(wait, NextStep::Pin { .. }))
                .map(NextStep::to_string)
                .next();
            let until = until.unwrap_or_else(|| "pinned".to_owned());
            format!("found {} {until}, expected none: its health moves no traffic", row.object)
        }))
    })
}
