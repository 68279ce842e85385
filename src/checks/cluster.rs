//! The cluster, and what the person may do in it.

use crate::checks::access::Access;
use crate::checks::facts::{DryRun, Facts, NotKnown, ServedKind, by};
use crate::checks::outcome::Outcome;

/// The first with stable matchConditions of webhooks.
const OLDEST: (u32, u32) = (1, 30);

pub(super) fn version(facts: &Facts) -> Outcome {
    let ((major, minor), (least, oldest)) = (facts.kubernetes, OLDEST);
    let fault = || format!("found Kubernetes {major}.{minor}, expected {least}.{oldest} or newer");
    Outcome::errors((facts.kubernetes < OLDEST).then(fault))
}

pub(super) fn kinds(facts: &Facts) -> Outcome {
    by(&facts.kinds, |kinds| {
        let fault = "found neither TrafficSplits nor routes of the Gateway API, expected one of them: install the CRDs of the Gateway API, or the chart with installTrafficSplitCRD: true";
        let none = kinds.iter().all(|kind| kind.version.is_none() && kind.others.is_empty());
        let none = none.then(|| fault.to_owned());
        Outcome::errors(none.into_iter().chain(kinds.iter().filter_map(unreadable)))
    })
}

/// A kind that the cluster serves, and in no version that is read.
fn unreadable(served: &ServedKind) -> Option<String> {
    let ServedKind { kind, version, others } = served;
    let is_unreadable = version.is_none() && !others.is_empty();
    let (found, expected) = (others.join(" and "), kind.versions().join(" or "));
    is_unreadable.then(|| {
        format!(
            "found {} in {found} alone, expected {expected}: none of them fails over; update its CRD",
            kind.resource()
        )
    })
}

pub(super) fn may_install(facts: &Facts) -> Outcome {
    Outcome::errors(facts.install_denied.iter().map(|access| format!("you may not {access}")))
}

/// What may not be read is named, with what is not known without it: all of it.
pub(super) fn may_read(facts: &Facts) -> Outcome {
    let gaps = facts.snapshot.iter().flat_map(|snapshot| &snapshot.gaps);
    let gaps = gaps.map(|gap| (gap.is_forbidden, gap.to_string()));
    let denied = facts.denied.iter().map(|needed| (!needed.is_optional, needed.to_string()));
    let dry_runs = untried(facts).map(|needed| (true, needed));
    let (faults, others): (Vec<_>, Vec<_>) =
        denied.chain(dry_runs).chain(gaps).partition(|(is_fault, _)| *is_fault);
    let lines: Vec<String> = faults.iter().chain(&others).map(|(_, line)| line.clone()).collect();
    match (lines.is_empty(), faults.is_empty()) {
        (true, _) => Outcome::Passed,
        (false, true) => Outcome::Warning(lines.join("\n    ")),
        (false, false) => Outcome::Error(lines.join("\n    ")),
    }
}

/// The right to create what a dry run would create.
fn untried(facts: &Facts) -> Option<String> {
    let Some(Ok(runs)) = &facts.dry_runs else { return None };
    let unknown = "whether the webhook answers is not known";
    let needed = |access: &Access| access.clone().or(unknown).to_string();
    (runs.good == DryRun::NotKnown(NotKnown::Forbidden)).then(|| needed(&runs.access))
}
