//! A review of which only a few fields are read.

use serde::Deserialize;
use serde::de::IgnoredAny;

/// A review. What is read of its objects is `O`, and of the options of its operation, `P`.
#[derive(Debug, Deserialize)]
#[serde(bound(deserialize = "O: Deserialize<'de>, P: Deserialize<'de>"))]
pub(super) struct PartialReview<O, P = IgnoredAny> {
    pub request: PartialRequest<O, P>,
}

/// Its request.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", bound(deserialize = "O: Deserialize<'de>, P: Deserialize<'de>"))]
pub(super) struct PartialRequest<O, P = IgnoredAny> {
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
pub(super) struct GroupKind {
    #[serde(default)]
    pub group: String,
    #[serde(default)]
    pub kind: String,
}

/// What is done to the object of a review.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub(crate) enum ObjectOperation {
    Create,
    Update,
    Delete,
    Connect,
    #[default]
    #[serde(other)]
    Unknown,
}

impl ObjectOperation {
    /// As metrics call it.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Create => "CREATE",
            Self::Update => "UPDATE",
            Self::Delete => "DELETE",
            Self::Connect => "CONNECT",
            Self::Unknown => "unknown",
        }
    }
}

/// The uid of a request.
pub(super) fn uid_of(body: &[u8]) -> Option<String> {
    let review: PartialReview<IgnoredAny> = serde_json::from_slice(body).ok()?;
    Some(review.request.uid)
}
