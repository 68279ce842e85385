//! The cluster, and what the person may do in it.

use crate::checks::facts::{Facts, by};
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
        Outcome::errors(kinds.is_empty().then(|| fault.to_owned()))
    })
}

pub(super) fn may_install(facts: &Facts) -> Outcome {
    Outcome::errors(facts.install_denied.iter().map(|access| format!("you may not {access}")))
}

/// What may not be read is named, with what is not known without it: all of it.
pub(super) fn may_read(facts: &Facts) -> Outcome {
    let denied = facts.denied.iter().map(|access| format!("you may not {access}"));
    let gaps = facts.snapshot.iter().flat_map(|snapshot| &snapshot.gaps);
    let lines: Vec<String> = denied.chain(gaps.map(ToString::to_string)).collect();
    match lines.is_empty() {
        true => Outcome::Passed,
        false => Outcome::Warning(lines.join("\n    ")),
    }
}
