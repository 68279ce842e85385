//! What became of a write, as metrics count it.

use crate::telemetry::macros::label_values;
use prometheus_client::encoding::EncodeLabelSet;

label_values! {
    /// What became of a write.
    pub(crate) enum WriteResult {
        Ok = "ok",
        /// Weights that somebody wrote past the webhook were recorded as the author's.
        Edit = "edit",
        /// The state alone was written.
        Record = "record",
        /// Our ownership of `spec` was given up.
        Disclaim = "disclaim",
        /// A ServiceProfile was restored to what it was before.
        Restored = "given_back",
        /// The object had changed meanwhile.
        Conflict = "conflict",
        /// The object was deleted meanwhile.
        Gone = "gone",
        /// A newer decision took its place.
        Replaced = "replaced",
        /// The API server was throttling.
        Throttled = "throttled",
        /// Refused, or not answered.
        Failed = "failed",
    }
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
pub(super) struct ResultLabel {
    pub result: WriteResult,
}

impl ResultLabel {
    pub(super) fn all() -> impl Iterator<Item = Self> {
        WriteResult::ALL.iter().map(|result| Self { result: *result })
    }
}
