//! The AdmissionReview of a response. It always carries the request's uid.

use crate::engine::Problem;
use crate::webhook::review::{self, ReviewRequest};
use kube::core::Status;
use kube::core::admission::{AdmissionResponse, META_API_VERSION_V1, META_KIND};
use kube::core::response::{StatusCause, StatusDetails, StatusSummary};
use serde_json::json;
use std::error::Error;

/// The most causes in one answer; the next answer has the others.
const CAUSES: usize = 64;

/// The answer that refuses an object.
pub(crate) fn deny(request: &ReviewRequest, problems: &[Problem]) -> AdmissionResponse {
    let mut answer = AdmissionResponse::from(request);
    answer.allowed = false;
    answer.result = denial(
        &review::describe(request),
        &request.name,
        &request.kind.group,
        &request.kind.kind,
        problems,
    );
    answer
}

/// Why an object is refused: 403 and never 422 or 409, on which `kubectl apply --force` and Flux's
/// `force` delete the live object.
pub(crate) fn denial(
    object: &str,
    name: &str,
    group: &str,
    kind: &str,
    problems: &[Problem],
) -> Status {
    let reported = problems.iter().take(CAUSES);
    let mut lines: Vec<String> = reported.clone().map(|problem| format!("- {problem}")).collect();
    if let Some(more) = problems.len().checked_sub(CAUSES).filter(|more| *more > 0) {
        lines.push(format!("- and {more} more"));
    }
    let causes = reported.map(|problem| StatusCause {
        reason: "FieldValueInvalid".into(),
        message: problem.message(),
        field: problem.field.to_string(),
    });
    Status {
        status: Some(StatusSummary::Failure),
        code: 403,
        reason: "Forbidden".into(),
        message: format!("{object} cannot fail over:\n{}", lines.join("\n")),
        metadata: None,
        details: Some(StatusDetails {
            name: name.to_owned(),
            group: group.to_owned(),
            kind: kind.to_owned(),
            uid: String::new(),
            causes: causes.collect(),
            retry_after_seconds: 0,
        }),
    }
}

/// The review that allows an object as it is, or denies it.
pub(crate) fn without_patch(uid: &str, denial: Option<&Status>) -> Vec<u8> {
    let mut response = json!({"uid": uid, "allowed": denial.is_none()});
    if let Some(status) = denial {
        response["status"] = json!(status);
    }
    json!({"apiVersion": META_API_VERSION_V1, "kind": META_KIND, "response": response})
        .to_string()
        .into_bytes()
}

/// The review that an error ended.
pub(crate) fn failed(uid: &str, allowed: bool, error: &dyn Error) -> Vec<u8> {
    let status = Status {
        status: Some(StatusSummary::Failure),
        code: 500,
        reason: "InternalError".into(),
        message: format!(
            "linkerd-failover could not review the object: {error}; try again, and see the logs of the linkerd-failover pods"
        ),
        ..Status::default()
    };
    without_patch(uid, Some(&status).filter(|_| !allowed))
}
