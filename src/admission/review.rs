//! The wire form of a review: whatever comes in, what goes out carries the request's uid.

use crate::failover::Problem;
use kube::core::admission::{AdmissionRequest, AdmissionResponse, AdmissionReview};
use kube::core::response::{StatusCause, StatusDetails, StatusSummary};
use kube::core::{DynamicObject, Status};
use serde_json::{Value, json};

/// A request about an object of a kind that is only known at run time.
pub type Request = AdmissionRequest<DynamicObject>;

/// A body that is no review we can work with.
#[derive(Debug, PartialEq)]
pub struct Malformed {
    /// The request's uid, where one could be found: an answer with another uid is a failed call.
    pub uid: Option<String>,
    pub why: String,
}

/// Reads a review.
pub fn parse(body: &[u8]) -> Result<Request, Malformed> {
    let malformed = |uid, why| Err(Malformed { uid, why });
    let value: Value = match serde_json::from_slice(body) {
        Ok(value) => value,
        Err(error) => return malformed(None, format!("the body is not JSON: {error}")),
    };
    let uid = value.pointer("/request/uid").and_then(Value::as_str).map(str::to_owned);
    let found = |name| value.get(name).and_then(Value::as_str).unwrap_or("nothing").to_owned();
    let (kind, version) = (found("kind"), found("apiVersion"));
    if kind != "AdmissionReview" || version != "admission.k8s.io/v1" {
        let why =
            format!("found {kind} of {version}, expected AdmissionReview of admission.k8s.io/v1");
        return malformed(uid, why);
    }
    let review: AdmissionReview<DynamicObject> = match serde_json::from_value(value) {
        Ok(review) => review,
        Err(error) => {
            return malformed(uid, format!("the AdmissionReview cannot be read: {error}"));
        }
    };
    match review.try_into() {
        Ok(request) => Ok(request),
        Err(_) => malformed(uid, "the AdmissionReview has no request".into()),
    }
}

/// The answer that refuses an object: 403 and never 422 or 409, on which `kubectl apply --force`
/// and Flux's `force` delete the live object.
pub fn deny(request: &Request, problems: &[Problem]) -> AdmissionResponse {
    let object = describe(request);
    let lines: Vec<String> = problems.iter().map(|problem| format!("- {problem}")).collect();
    let mut answer = AdmissionResponse::from(request);
    answer.allowed = false;
    answer.result = Status {
        status: Some(StatusSummary::Failure),
        code: 403,
        reason: "Forbidden".into(),
        message: format!("{object} cannot fail over:\n{}", lines.join("\n")),
        metadata: None,
        details: Some(StatusDetails {
            name: request.name.clone(),
            group: request.kind.group.clone(),
            kind: request.kind.kind.clone(),
            uid: String::new(),
            causes: problems
                .iter()
                .map(|problem| StatusCause {
                    reason: "FieldValueInvalid".into(),
                    message: problem.message(),
                    field: problem.field.clone(),
                })
                .collect(),
            retry_after_seconds: 0,
        }),
    };
    answer
}

/// The answer where our own work failed: not a judgement of the object.
pub fn failed(uid: &str, allowed: bool, why: &str) -> Value {
    let mut response = json!({"uid": uid, "allowed": allowed});
    if !allowed {
        response["status"] = json!({
            "status": "Failure", "code": 500, "reason": "InternalError",
            "message": format!("linkerd-failover could not judge the object: {why}; try again, and see the logs of the linkerd-failover pods"),
        });
    }
    json!({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "response": response})
}

/// `TrafficSplit emojivoto/emoji`.
pub fn describe(request: &Request) -> String {
    let namespace = request.namespace.as_deref().unwrap_or_default();
    let generated = request.object.as_ref().and_then(|o| o.metadata.generate_name.clone());
    let name =
        if request.name.is_empty() { generated.unwrap_or_default() } else { request.name.clone() };
    format!("{} {namespace}/{name}", request.kind.kind)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_that_is_no_review_says_what_was_found() {
        for (body, why) in [
            ("", "not JSON"),
            ("{", "not JSON"),
            ("[]", "found nothing of nothing"),
            (r#"{"kind":"Pod","apiVersion":"v1"}"#, "found Pod of v1"),
            (r#"{"kind":"AdmissionReview","apiVersion":"admission.k8s.io/v1beta1"}"#, "v1beta1"),
            (r#"{"kind":"AdmissionReview","apiVersion":"admission.k8s.io/v1"}"#, "no request"),
        ] {
            let malformed = parse(body.as_bytes()).unwrap_err();
            assert!(malformed.why.contains(why), "{body}: {}", malformed.why);
        }
    }

    #[test]
    fn a_uid_is_kept_where_the_rest_cannot_be_read() {
        let body = r#"{"kind":"AdmissionReview","apiVersion":"admission.k8s.io/v1",
            "request":{"uid":"u-1","operation":"DANCE"}}"#;
        assert_eq!(parse(body.as_bytes()).unwrap_err().uid.as_deref(), Some("u-1"));
    }
}
