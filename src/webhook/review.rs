//! Parses a review; of one that cannot be parsed, as much as an answer needs.

use crate::admission::sent_object::SentObject;
use crate::telemetry::ObjectOperation;
use kube::core::GroupVersionKind;
use kube::core::admission::{META_API_VERSION_V1, META_KIND, Operation};
use serde::Deserialize;
use serde_json::Value;

/// What is read of a request; who sent it and as which resource is skipped.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ReviewRequest {
    pub uid: String,
    /// In the version that the webhook is registered for.
    pub kind: GroupVersionKind,
    /// In the version that was sent.
    #[serde(default)]
    request_kind: Option<GroupVersionKind>,
    #[serde(default)]
    pub name: String,
    #[serde(default)]
    namespace: Option<String>,
    operation: Operation,
    #[serde(default)]
    pub object: Option<SentObject>,
    #[serde(default)]
    pub old_object: Option<SentObject>,
    #[serde(default)]
    dry_run: Option<bool>,
    #[serde(default)]
    options: Option<OperationOptions>,
}

/// Of a create, an update or a patch.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct OperationOptions {
    #[serde(default)]
    field_manager: Option<String>,
}

/// A body that is not an AdmissionReview with a request.
#[derive(Debug)]
pub(crate) struct MalformedReview {
    /// The request's uid, where the body has one: an answer with another uid is a failed call.
    pub uid: Option<String>,
    pub reason: MalformedReason,
}

/// What is wrong with such a body.
#[derive(Debug, thiserror::Error)]
pub(crate) enum MalformedReason {
    #[error("the body is not JSON: {0}")]
    NotJson(serde_json::Error),
    #[error("found {kind} of {version}, expected {META_KIND} of {META_API_VERSION_V1}")]
    OtherKind { kind: String, version: String },
    #[error("the AdmissionReview has no request")]
    NoRequest,
    #[error("the AdmissionReview cannot be read: {0}")]
    Unreadable(serde_json::Error),
}

/// The review itself.
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
pub(crate) fn parse(body: &[u8]) -> Result<ReviewRequest, MalformedReview> {
    let reason = match serde_json::from_slice::<Envelope>(body) {
        Ok(Envelope { api_version, kind, request: Some(request) })
            if api_version == META_API_VERSION_V1 && kind == META_KIND =>
        {
            return Ok(request);
        }
        Ok(_) => MalformedReason::NoRequest,
        Err(error) => MalformedReason::Unreadable(error),
    };
    Err(explain(body, reason))
}

/// The uid of a body that is not a review, and a more exact reason where the body gives one.
fn explain(body: &[u8], reason: MalformedReason) -> MalformedReview {
    let value: Value = match serde_json::from_slice(body) {
        Ok(value) => value,
        Err(error) => {
            return MalformedReview { uid: None, reason: MalformedReason::NotJson(error) };
        }
    };
    let uid = value.pointer("/request/uid").and_then(Value::as_str).map(str::to_owned);
    let found = |name| value.get(name).and_then(Value::as_str).unwrap_or("nothing");
    let (kind, version) = (found("kind"), found("apiVersion"));
    if (kind, version) == (META_KIND, META_API_VERSION_V1) {
        return MalformedReview { uid, reason };
    }
    let (kind, version) = (kind.to_owned(), version.to_owned());
    MalformedReview { uid, reason: MalformedReason::OtherKind { kind, version } }
}

impl ReviewRequest {
    pub(crate) fn namespace(&self) -> &str {
        self.namespace.as_deref().unwrap_or_default()
    }

    /// Whether weights may be text, `900m`, in the version in which the object was sent. The review shows the
    /// version that the webhook is registered for; the schema of the sent version decides what is stored.
    pub(crate) fn takes_text(&self) -> bool {
        self.request_kind.as_ref().unwrap_or(&self.kind).version == "v1alpha1"
    }

    /// What is done to the object.
    pub(crate) fn operation(&self) -> ObjectOperation {
        match self.operation {
            Operation::Create => ObjectOperation::Create,
            Operation::Update => ObjectOperation::Update,
            Operation::Delete => ObjectOperation::Delete,
            Operation::Connect => ObjectOperation::Connect,
        }
    }

    /// Whether nothing of the request is stored.
    pub(crate) fn is_dry_run(&self) -> bool {
        self.dry_run == Some(true)
    }

    /// The field manager that the request names, or the API server for it.
    pub(crate) fn manager(&self) -> Option<&str> {
        self.options.as_ref()?.field_manager.as_deref().filter(|name| !name.is_empty())
    }

    /// `TrafficSplit emojivoto/emoji`.
    pub(crate) fn describe(&self) -> String {
        let generated = || self.object.as_ref()?.metadata.generate_name.as_deref();
        let named = Some(self.name.as_str()).filter(|name| !name.is_empty());
        let name = named.or_else(generated).unwrap_or_default();
        format!("{} {}/{name}", self.kind.kind, self.namespace())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_error_of_a_body_that_is_no_review_names_what_was_found() {
        for (body, why) in [
            ("", "not JSON"),
            ("{", "not JSON"),
            ("[]", "found nothing of nothing"),
            (r#"{"kind":"Pod","apiVersion":"v1"}"#, "found Pod of v1"),
            (r#"{"kind":"AdmissionReview","apiVersion":"admission.k8s.io/v1beta1"}"#, "v1beta1"),
            (r#"{"kind":"AdmissionReview","apiVersion":"admission.k8s.io/v1"}"#, "no request"),
        ] {
            let malformed = parse(body.as_bytes()).unwrap_err();
            let reason = malformed.reason.to_string();
            assert!(reason.contains(why), "{body}: {reason}");
        }
    }

    #[test]
    fn a_review_is_read_with_all_its_fields() {
        let gvk = r#"{"group":"split.smi-spec.io","version":"v1alpha2","kind":"TrafficSplit"}"#;
        let gvr = gvk.replace("kind", "resource").replace("TrafficSplit", "trafficsplits");
        let body = format!(
            r#"{{"kind":"AdmissionReview","apiVersion":"admission.k8s.io/v1","request":{{
                "uid":"u-1","kind":{gvk},"resource":{gvr},"requestKind":{gvk},"requestResource":{gvr},
                "name":"emoji","namespace":"emojivoto","operation":"UPDATE","userInfo":{{"username":"me"}},
                "object":{{"kind":"TrafficSplit","apiVersion":"split.smi-spec.io/v1alpha2",
                  "metadata":{{"name":"emoji"}},"spec":{{"service":"emoji-svc"}}}},
                "oldObject":null,"dryRun":true,"options":{{"kind":"UpdateOptions","apiVersion":"meta.k8s.io/v1",
                  "fieldManager":"helm"}}}}}}"#
        );
        let request = parse(body.as_bytes()).unwrap();
        assert_eq!((request.uid.as_str(), request.operation()), ("u-1", ObjectOperation::Update));
        assert_eq!(request.describe(), "TrafficSplit emojivoto/emoji");
        assert_eq!(request.object.as_ref().unwrap().data["spec"]["service"], "emoji-svc");
        assert!(request.old_object.is_none());
        assert_eq!((request.manager(), request.takes_text()), (Some("helm"), false));
    }

    #[test]
    fn a_uid_is_kept_where_the_rest_cannot_be_read() {
        let body = r#"{"kind":"AdmissionReview","apiVersion":"admission.k8s.io/v1",
            "request":{"uid":"u-1","operation":"DANCE"}}"#;
        assert_eq!(parse(body.as_bytes()).unwrap_err().uid.as_deref(), Some("u-1"));
    }
}
