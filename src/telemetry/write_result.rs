//! How a write ended, as the metrics name it.

use prometheus_client::encoding::{EncodeLabelSet, EncodeLabelValue, LabelValueEncoder};
use std::fmt;

/// The label `result` of the counters of writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum WriteResult {
    /// It landed, and callers waited for it.
    Ok,
    /// Landed: weights that somebody wrote past the webhook are recorded.
    Edit,
    /// Landed: the state is recorded.
    Record,
    /// Landed: our claim on `spec` is given up.
    Disclaim,
    /// Landed: a ServiceProfile is as it was before it was written here.
    Restored,
    /// Somebody else wrote first.
    Conflict,
    /// What was to be written is gone.
    Gone,
    /// Refused, or without an answer in time.
    Failed,
    /// Given up for a newer decision.
    Replaced,
}

impl WriteResult {
    fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Edit => "edit",
            Self::Record => "record",
            Self::Disclaim => "disclaim",
            Self::Restored => "given_back",
            Self::Conflict => "conflict",
            Self::Gone => "gone",
            Self::Failed => "failed",
            Self::Replaced => "replaced",
        }
    }
}

impl EncodeLabelValue for WriteResult {
    fn encode(&self, encoder: &mut LabelValueEncoder<'_>) -> Result<(), fmt::Error> {
        self.as_str().encode(encoder)
    }
}

/// The labels of the counters of writes.
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
pub(super) struct WriteLabels {
    pub(super) result: WriteResult,
}
