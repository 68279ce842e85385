//! The webhook, as the API server calls it.

use crate::checks::facts::{DryRun, Facts, NotKnown};
use crate::checks::outcome::Outcome;

pub(super) fn defaults(facts: &Facts) -> Outcome {
    let Some(runs) = &facts.dry_runs else { return Outcome::Skipped };
    match &runs.good {
        DryRun::Admitted { defaulted: true } => Outcome::Passed,
        DryRun::Admitted { defaulted: false } => Outcome::Error(
            "found a dry run without a primary filled in, expected one: the mutating webhook is not called, or its failurePolicy hides that it does not answer".to_owned(),
        ),
        DryRun::Refused(why) => {
            Outcome::Error(format!("found a dry run that is refused, expected one that passes: {why}"))
        }
        other => unanswered(other),
    }
}

pub(super) fn refuses(facts: &Facts) -> Outcome {
    let Some(runs) = &facts.dry_runs else { return Outcome::Skipped };
    match &runs.bad {
        DryRun::Refused(_) => Outcome::Passed,
        DryRun::Admitted { .. } => Outcome::Error(
            "found a wrong object admitted, expected that it is refused: the validating webhook is not called".to_owned(),
        ),
        other => unanswered(other),
    }
}

fn unanswered(run: &DryRun) -> Outcome {
    match run {
        DryRun::NotCalled(why) => Outcome::Error(format!(
            "found that the API server cannot call the webhook ({why}), expected an answer"
        )),
        DryRun::NotKnown(NotKnown::Failed(why)) => Outcome::Error(format!("not known: {why}")),
        _ => Outcome::Skipped,
    }
}
