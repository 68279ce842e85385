//! What an object lacks so that no request is lost, where it asks for that.

use super::rule::{Check, ObjectReview, Rule};
use crate::admission::findings::{Finding, ObjectFacts, findings};
use crate::admission::reviewed_object::ReviewedObject;
use crate::admission::view::View;
use crate::engine::{Intent, Problem, Severity};
use crate::kinds::ObjectRef;
use crate::kinds::linkerd::failure_accrual::FailureAccrual;
use crate::kinds::retries::ParentRetries;

/// Warns of each [`Finding`] that no other rule reports, once. Of an object that does not ask for a seamless
/// protection, it warns of annotations alone that do nothing, or not what they are for.
pub(super) const RULE: Rule = Rule { name: "no_request_lost", check: Check::Review(check) };

fn check(review: &ObjectReview<'_>) -> Vec<Problem> {
    let object = review.object_ref();
    let found = review.newly_found(|object, intents| found(object, intents, review.view));
    found.iter().map(|finding| problem(finding, &object)).collect()
}

fn problem(finding: &Finding, object: &ObjectRef) -> Problem {
    let warning = finding.advice(object).into_warning();
    match finding.is_unknown() {
        true => Problem { severity: Severity::Unknown, ..warning },
        false => warning,
    }
}

fn found(object: &ReviewedObject<'_>, intents: &[Intent], view: &View<'_>) -> Vec<Finding> {
    let Some(first) = intents.first() else { return vec![] };
    let is_asked_for = first.policy.protection.is_seamless();
    if !is_asked_for && !view.kind.needs_service_profile() && !any_accrual(object, view) {
        return vec![];
    }
    let facts = ObjectFacts::of_review(object, intents, view);
    // The rule `protection` says why none are added.
    let is_unseen = matches!(view.parent_retries(&object.declared), ParentRetries::Unknown(_));
    let is_reported = |finding: &Finding| match finding {
        Finding::NoRetries { .. } => is_unseen,
        other => has_its_own_rule(other),
    };
    let found = facts.iter().flat_map(findings);
    found
        .filter(|finding| is_asked_for || finding.is_always_reported())
        .filter(|finding| !is_reported(finding))
        .collect()
}

/// Whether a Service of the object has failure accrual: most have none, and most objects are then done.
fn any_accrual(object: &ReviewedObject<'_>, view: &View<'_>) -> bool {
    let declared = &object.declared;
    let backends = declared.backends().map(|backend| &backend.name);
    declared.apexes.iter().chain(backends).any(|name| {
        let service = view.service(name);
        service.is_some_and(|service| service.failure_accrual() != FailureAccrual::Absent)
    })
}

/// The rules `protection` and `service_profile` report these.
fn has_its_own_rule(finding: &Finding) -> bool {
    matches!(
        finding,
        Finding::Split
            | Finding::Hidden { .. }
            | Finding::NoWarmStandby
            | Finding::NoFallback { .. }
    )
}
