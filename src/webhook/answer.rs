//! The AdmissionReview of a response. It always carries the request's uid.

use crate::engine::Problem;
use crate::webhook::review::ReviewRequest;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use json_patch::Patch;
use kube::core::Status;
use kube::core::admission::{META_API_VERSION_V1, META_KIND};
use kube::core::response::{StatusCause, StatusDetails, StatusSummary};
use serde::Serialize;
use std::collections::BTreeMap;
use std::error::Error;

/// The most causes in one answer; the next answer has the others.
const CAUSES: usize = 64;

/// What is answered to a review. kube's own type writes the patch as a list of numbers, four times as
/// long as the base64 that API servers write and read fastest.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct AdmissionResponse {
    pub allowed: bool,
    /// Why an object is refused.
    #[serde(rename = "status", skip_serializing_if = "Option::is_none")]
    denial: Option<Status>,
    #[serde(flatten)]
    patch: Option<EncodedPatch>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub audit_annotations: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    warnings: Vec<String>,
}

/// A JSON patch.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct EncodedPatch {
    /// In base64.
    patch: String,
    patch_type: &'static str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Review<'a> {
    api_version: &'static str,
    kind: &'static str,
    response: ResponseWithUid<'a>,
}

#[derive(Serialize)]
struct ResponseWithUid<'a> {
    uid: &'a str,
    #[serde(flatten)]
    response: &'a AdmissionResponse,
}

impl AdmissionResponse {
    /// Allows the object as it is.
    pub(crate) fn allowed() -> Self {
        Self {
            allowed: true,
            denial: None,
            patch: None,
            audit_annotations: BTreeMap::new(),
            warnings: vec![],
        }
    }

    /// Refuses an object.
    pub(crate) fn denied(denial: Status) -> Self {
        Self { allowed: false, denial: Some(denial), ..Self::allowed() }
    }

    /// The same, with warnings for the client.
    pub(crate) fn with_warnings(mut self, warnings: Vec<String>) -> Self {
        self.warnings = warnings;
        self
    }

    /// The same, with a change of the object.
    pub(crate) fn with_patch(mut self, patch: &Patch) -> Self {
        // Maps with keys of another type than text are what JSON cannot have; a patch has none.
        let patch = serde_json::to_vec(patch).ok().map(|json| BASE64_STANDARD.encode(json));
        self.patch = patch.map(|patch| EncodedPatch { patch, patch_type: "JSONPatch" });
        self
    }

    /// The AdmissionReview that answers the request with this uid.
    pub(crate) fn to_review(&self, uid: &str) -> serde_json::Result<Vec<u8>> {
        let response = ResponseWithUid { uid, response: self };
        serde_json::to_vec(&Review { api_version: META_API_VERSION_V1, kind: META_KIND, response })
    }
}

/// The answer that refuses an object.
pub(crate) fn deny(request: &ReviewRequest, problems: &[Problem]) -> AdmissionResponse {
    let (name, group, kind) = (&request.name, &request.kind.group, &request.kind.kind);
    AdmissionResponse::denied(denial(&request.describe(), name, group, kind, problems))
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

/// Why an error ended a review.
pub(crate) fn failed(allowed: bool, error: &dyn Error) -> AdmissionResponse {
    if allowed {
        return AdmissionResponse::allowed();
    }
    AdmissionResponse::denied(Status {
        status: Some(StatusSummary::Failure),
        code: 500,
        reason: "InternalError".into(),
        message: format!(
            "linkerd-failover could not review the object: {error}; try again, and see the logs of the linkerd-failover pods"
        ),
        ..Status::default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kinds::Edit;
    use serde_json::{Value, json};

    fn response(response: &AdmissionResponse) -> Value {
        let review: Value = serde_json::from_slice(&response.to_review("u-1").unwrap()).unwrap();
        assert_eq!(review["apiVersion"], "admission.k8s.io/v1");
        assert_eq!(review["kind"], "AdmissionReview");
        review["response"].clone()
    }

    #[test]
    fn an_answer_has_what_it_needs_and_nothing_else() {
        let allowed = AdmissionResponse::allowed();
        assert_eq!(response(&allowed), json!({"uid": "u-1", "allowed": true}));
        let mut noted = AdmissionResponse::allowed();
        noted.audit_annotations.insert("note-0".into(), "traffic stays".into());
        let noted = noted.with_warnings(vec!["traffic stays".into()]);
        assert_eq!(
            response(&noted),
            json!({"uid": "u-1", "allowed": true, "auditAnnotations": {"note-0": "traffic stays"},
                "warnings": ["traffic stays"]})
        );
        let denied = response(&failed(false, &std::fmt::Error));
        assert_eq!((&denied["allowed"], &denied["status"]["code"]), (&json!(false), &json!(500)));
    }

    #[test]
    fn a_patch_is_base64_as_api_servers_write_it() {
        let mut edit = Edit::default();
        edit.set(&["spec", "weight"], json!(1));
        let patched = response(&AdmissionResponse::allowed().with_patch(&edit.into_patch()));
        assert_eq!(patched["patchType"], "JSONPatch");
        let patch = BASE64_STANDARD.decode(patched["patch"].as_str().unwrap()).unwrap();
        let patch: Value = serde_json::from_slice(&patch).unwrap();
        assert_eq!(patch, json!([{"op": "add", "path": "/spec/weight", "value": 1}]));
    }
}
