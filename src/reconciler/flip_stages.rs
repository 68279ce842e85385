//! The stages of a flip: how long each step took from the event to the answer of the API server. Observed
//! once the answer is there.

use crate::client::request_times::RequestTimes;
use crate::index::change::Noticed;
use crate::telemetry::{FlipStage, Metrics};
use std::time::{Duration, Instant};

/// When the steps of a write were done.
#[derive(Clone, Debug)]
pub(crate) struct WriteTimes {
    pub noticed: Noticed,
    /// It was decided, and may be made now.
    pub begun: Instant,
    pub request: RequestTimes,
    /// The answer was read.
    pub answered: Instant,
}

impl WriteTimes {
    /// The answer has just been read.
    pub(crate) fn answered(noticed: Noticed, begun: Instant, request: RequestTimes) -> Self {
        Self { noticed, begun, request, answered: Instant::now() }
    }

    /// Observes every stage. None of them is known of a request that the connection has not taken.
    pub(crate) fn observe(&self, metrics: &Metrics) {
        for (stage, took) in self.stages().into_iter().flatten() {
            metrics.observe_stage(stage, took);
        }
    }

    fn stages(&self) -> Option<[(FlipStage, Duration); 6]> {
        let Noticed { read, indexed, dequeued } = self.noticed;
        let (made, sent) = (self.request.made()?, self.request.sent()?);
        Some([
            (FlipStage::Indexed, indexed.saturating_duration_since(read)),
            (FlipStage::Dequeued, dequeued.saturating_duration_since(indexed)),
            (FlipStage::Decided, self.begun.saturating_duration_since(dequeued)),
            (FlipStage::Patched, made.saturating_duration_since(self.begun)),
            (FlipStage::Sent, sent.saturating_duration_since(made)),
            (FlipStage::Acknowledged, self.answered.saturating_duration_since(sent)),
        ])
    }
}
