//! Denies an object that holds too many backends before its review is parsed.

use crate::engine::too_many;
use crate::kinds::Kind;
use crate::kinds::selector::LabelSelector;
use crate::telemetry::ReviewPath;
use crate::webhook::answer::{self, AdmissionResponse};
use crate::webhook::backend_counts::BackendCounts;
use crate::webhook::partial_review::{PartialRequest, PartialReview};
use crate::webhook::response::ReviewResponse;
use serde::Deserialize;
use serde::de::IgnoredAny;
use std::collections::BTreeMap;

#[derive(Debug, Default, Deserialize)]
struct LabelledObject {
    #[serde(default)]
    metadata: Metadata,
}

impl LabelledObject {
    fn is_managed(&self, selector: &LabelSelector) -> bool {
        let none = BTreeMap::new();
        selector.matches(self.metadata.labels.as_ref().unwrap_or(&none))
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Metadata {
    #[serde(default)]
    labels: Option<BTreeMap<String, String>>,
    #[serde(default)]
    deletion_timestamp: Option<IgnoredAny>,
}

/// The response to a review of an object that is created with, or grows to, more backends than allowed;
/// none where it has to be parsed. The mutating webhook allows it: the validator denies it.
pub(crate) fn size_denial(
    body: &[u8],
    webhook: ReviewPath,
    selector: &LabelSelector,
) -> Option<ReviewResponse> {
    if matches!(webhook, ReviewPath::ServiceDeletion | ReviewPath::DeclaredDown) {
        return None;
    }
    let (now, before) = BackendCounts::of(body);
    // No kind may hold fewer.
    if now.all <= Kind::HttpRoute.shape().bounds.of_set {
        return None;
    }
    let review: PartialReview<LabelledObject> = serde_json::from_slice(body).ok()?;
    let request = review.request;
    let kind = Kind::of(&request.kind.group, &request.kind.kind)?;
    let problem = too_many(kind.shape(), now.all, now.largest)?;
    let object = request.object.as_ref()?;
    let before = match &request.old_object {
        Some(old) if old.is_managed(selector) => before,
        _ => BackendCounts::default(),
    };
    let is_deleted = object.metadata.deletion_timestamp.is_some();
    if is_deleted || !object.is_managed(selector) || !now.grows_from(before) {
        return None;
    }
    let PartialRequest { uid, name, namespace, kind, operation, .. } = &request;
    if webhook == ReviewPath::Mutate {
        return Some(ReviewResponse::new(uid, *operation, &AdmissionResponse::allowed()));
    }
    let described = format!("{} {namespace}/{name}", kind.kind);
    tracing::info!(object = described, backends = now.all, "denied unread");
    let denial = answer::denial(&described, name, &kind.group, &kind.kind, &[problem]);
    Some(ReviewResponse::new(uid, *operation, &AdmissionResponse::denied(denial)))
}

#[cfg(test)]
#[path = "size_limit_tests.rs"]
mod tests;
