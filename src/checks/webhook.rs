//! The webhook, as the API server calls it.

use crate::checks::facts::{DryRun, DryRuns, Facts, NotKnown};
use crate::checks::outcome::Outcome;

pub(super) fn defaults(facts: &Facts) -> Outcome {
    let runs = match made(facts) {
        Ok(runs) => runs,
        Err(outcome) => return outcome,
    };
    match &runs.good {
        DryRun::Admitted { defaulted: true } => Outcome::Passed,
        DryRun::Admitted { defaulted: false } => Outcome::Error(
            "found a dry run without a primary filled in, expected one: the mutating webhook is not called (are you one of webhook.exemptUsers?), or its failurePolicy hides that it does not answer".to_owned(),
        ),
        DryRun::Refused(why) => {
            Outcome::Error(format!("found a dry run that is refused, expected one that passes: {why}"))
        }
        other => unanswered(other),
    }
}

pub(super) fn refuses(facts: &Facts) -> Outcome {
    let runs = match made(facts) {
        Ok(runs) => runs,
        Err(outcome) => return outcome,
    };
    match &runs.bad {
        DryRun::Refused(_) => Outcome::Passed,
        DryRun::Admitted { .. } => Outcome::Error(
            "found a wrong object admitted, expected that it is refused: the validating webhook is not called".to_owned(),
        ),
        other => unanswered(other),
    }
}

/// The dry runs; the outcome where none were made.
fn made(facts: &Facts) -> Result<&DryRuns, Outcome> {
    match &facts.dry_runs {
        None => Err(Outcome::Skipped),
        Some(Err(why)) => Err(Outcome::Warning(format!("not tried: {why}"))),
        Some(Ok(runs)) => Ok(runs),
    }
}

fn unanswered(run: &DryRun) -> Outcome {
    match run {
        DryRun::RefusedByOther(why) => Outcome::Warning(format!(
            "not known: found that another webhook or policy refuses the dry run ({why}), expected that it passes"
        )),
        DryRun::NotCalled(why) => Outcome::Error(format!(
            "found that the API server cannot call the webhook ({why}), expected an answer"
        )),
        DryRun::NotKnown(NotKnown::Failed(why)) => Outcome::Error(format!("not known: {why}")),
        _ => Outcome::Skipped,
    }
}
