//! Parses a review; of one that cannot be parsed, as much as an answer needs.

use crate::telemetry::ObjectOperation;
use kube::core::admission::{AdmissionRequest, META_API_VERSION_V1, META_KIND, Operation};
use kube::core::{DynamicObject, TypeMeta};
use serde::Deserialize;
use serde_json::Value;

/// A request about an object of a kind that is only known at run time.
pub(crate) type ReviewRequest = AdmissionRequest<DynamicObject>;

/// A body that is no review we can work with.
#[derive(Debug, PartialEq)]
pub(crate) struct Malformed {
    /// The request's uid, where one could be found: an answer with another uid is a failed call.
    pub uid: Option<String>,
    pub why: String,
}

/// The review itself. kube's own type buffers all of it to read its first two fields.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Envelope {
    #[serde(default)]
    api_version: String,
    #[serde(default)]
    kind: String,
    request: Option<ReviewRequest>,
}

/// Reads a review.
pub(crate) fn parse(body: &[u8]) -> Result<ReviewRequest, Malformed> {
    let why = match serde_json::from_slice::<Envelope>(body) {
        Ok(Envelope { api_version, kind, request: Some(mut request) })
            if api_version == META_API_VERSION_V1 && kind == META_KIND =>
        {
            request.types = TypeMeta { api_version, kind };
            return Ok(request);
        }
        Ok(_) => "the AdmissionReview has no request".into(),
        Err(error) => format!("the AdmissionReview cannot be read: {error}"),
    };
    Err(explain(body, why))
}

/// What is wrong with a body that could not be read as a review for this reason, and all that an
/// answer needs of it.
fn explain(body: &[u8], why: String) -> Malformed {
    let value: Value = match serde_json::from_slice(body) {
        Ok(value) => value,
        Err(error) => {
            return Malformed { uid: None, why: format!("the body is not JSON: {error}") };
        }
    };
    let uid = value.pointer("/request/uid").and_then(Value::as_str).map(str::to_owned);
    let found = |name| value.get(name).and_then(Value::as_str).unwrap_or("nothing");
    let (kind, version) = (found("kind"), found("apiVersion"));
    if (kind, version) == (META_KIND, META_API_VERSION_V1) {
        return Malformed { uid, why };
    }
    let expected = format!("{META_KIND} of {META_API_VERSION_V1}");
    Malformed { uid, why: format!("found {kind} of {version}, expected {expected}") }
}

/// Whether weights may be text in the version in which the object is sent, `900m`: it is shown in the
/// version that the webhook is registered for, and stored as the schema of its own lets it.
pub(crate) fn takes_text(request: &ReviewRequest) -> bool {
    let asked = request.request_kind.as_ref().unwrap_or(&request.kind);
    asked.version == "v1alpha1"
}

/// What is done to the object.
pub(crate) fn operation(request: &ReviewRequest) -> ObjectOperation {
    match request.operation {
        Operation::Create => ObjectOperation::Create,
        Operation::Update => ObjectOperation::Update,
        Operation::Delete => ObjectOperation::Delete,
        Operation::Connect => ObjectOperation::Connect,
    }
}

/// The field manager that the request names, or the API server for it.
pub(crate) fn manager(request: &ReviewRequest) -> Option<&str> {
    request.options.as_ref()?.0.get("fieldManager")?.as_str().filter(|name| !name.is_empty())
}

/// `TrafficSplit emojivoto/emoji`.
pub(crate) fn describe(request: &ReviewRequest) -> String {
    let namespace = request.namespace.as_deref().unwrap_or_default();
    let generated = request.object.as_ref().and_then(|o| o.metadata.generate_name.clone());
    let name =
        if request.name.is_empty() { generated.unwrap_or_default() } else { request.name.clone() };
    format!("{} {namespace}/{name}", request.kind.kind)
}

#[cfg(test)]
mod tests {
    use super::*;
    use kube::core::admission::AdmissionResponse;

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
    fn a_review_is_read_with_all_that_it_says() {
        let gvk = r#"{"group":"split.smi-spec.io","version":"v1alpha2","kind":"TrafficSplit"}"#;
        let gvr = gvk.replace("kind", "resource").replace("TrafficSplit", "trafficsplits");
        let body = format!(
            r#"{{"kind":"AdmissionReview","apiVersion":"admission.k8s.io/v1","request":{{
                "uid":"u-1","kind":{gvk},"resource":{gvr},"requestKind":{gvk},"requestResource":{gvr},
                "name":"emoji","namespace":"emojivoto","operation":"UPDATE","userInfo":{{"username":"me"}},
                "object":{{"kind":"TrafficSplit","apiVersion":"split.smi-spec.io/v1alpha2",
                  "metadata":{{"name":"emoji"}},"spec":{{"service":"emoji-svc"}}}},
                "oldObject":null,"dryRun":true,"options":{{"kind":"UpdateOptions","apiVersion":"meta.k8s.io/v1"}}}}}}"#
        );
        let request = parse(body.as_bytes()).unwrap();
        assert_eq!((request.uid.as_str(), operation(&request)), ("u-1", ObjectOperation::Update));
        assert_eq!(describe(&request), "TrafficSplit emojivoto/emoji");
        assert_eq!(request.object.as_ref().unwrap().data["spec"]["service"], "emoji-svc");
        assert!(request.old_object.is_none());
        // The answer is of the type of the question.
        let answer = AdmissionResponse::from(&request).into_review();
        assert_eq!(answer.types.api_version, "admission.k8s.io/v1");
    }

    #[test]
    fn a_uid_is_kept_where_the_rest_cannot_be_read() {
        let body = r#"{"kind":"AdmissionReview","apiVersion":"admission.k8s.io/v1",
            "request":{"uid":"u-1","operation":"DANCE"}}"#;
        assert_eq!(parse(body.as_bytes()).unwrap_err().uid.as_deref(), Some("u-1"));
    }
}
