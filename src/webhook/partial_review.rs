//! A review of which only a few fields are read.

use crate::telemetry::ObjectOperation;
use serde::Deserialize;
use serde::de::IgnoredAny;

/// A review. What is read of its objects is `O`, and of the options of its operation, `P`.
#[derive(Debug, Deserialize)]
#[serde(bound(deserialize = "O: Deserialize<'de>, P: Deserialize<'de>"))]
pub(crate) struct PartialReview<O, P = IgnoredAny> {
    pub request: PartialRequest<O, P>,
}

/// Its request.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", bound(deserialize = "O: Deserialize<'de>, P: Deserialize<'de>"))]
pub(crate) struct PartialRequest<O, P = IgnoredAny> {
    pub uid: String,
    #[serde(default)]
    pub kind: GroupKind,
    #[serde(default)]
    pub name: String,
    #[serde(default)]
    pub namespace: String,
    #[serde(default)]
    pub operation: ObjectOperation,
    pub dry_run: Option<bool>,
    pub options: Option<P>,
    pub object: Option<O>,
    pub old_object: Option<O>,
}

/// The kind of an object, whatever its version.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct GroupKind {
    #[serde(default)]
    pub group: String,
    #[serde(default)]
    pub kind: String,
}

/// The uid of a request.
pub(super) fn uid_of(body: &[u8]) -> Option<String> {
    let review: PartialReview<IgnoredAny> = serde_json::from_slice(body).ok()?;
    Some(review.request.uid)
}
