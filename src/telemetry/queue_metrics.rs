//! Metrics of the work queue.

use crate::telemetry::macros::sampled_metrics;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::DescriptorEncoder;
use prometheus_client::registry::Registry;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

sampled_metrics! {
    /// Metrics of the work queue.
    pub(crate) enum QueueMetric {
        Length: Gauge =
            "queue_length",
            "Objects that are to be reconciled now, those included whose write waits for a place";
        OldestWait: Gauge =
            "queue_oldest_wait" in Seconds,
            "For how long the one of them that has waited for longest has waited; 0 while there is none";
    }
}

/// The queue, as the reconciler has left it after its last round.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct QueueState {
    pub length: usize,
    /// Since when the oldest waits.
    pub oldest: Option<Instant>,
}

/// The work queue.
#[derive(Clone, Debug, Default)]
pub(crate) struct QueueMetrics(Arc<Mutex<QueueState>>);

impl QueueMetrics {
    /// Shows the present queue.
    pub(crate) fn set(&self, state: QueueState) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = state;
    }

    /// Puts them into a registry.
    pub(crate) fn register(&self, registry: &mut Registry) {
        registry.register_collector(Box::new(self.clone()));
    }

    #[cfg(test)]
    pub(crate) fn declared() -> Vec<crate::telemetry::macros::DeclaredMetric> {
        QueueMetric::declared()
    }
}

impl Collector for QueueMetrics {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let QueueState { length, oldest } = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let wait = oldest.map_or(0.0, |since| since.elapsed().as_secs_f64());
        QueueMetric::Length.begin(&mut encoder)?.encode_gauge(&length)?;
        QueueMetric::OldestWait.begin(&mut encoder)?.encode_gauge(&wait)
    }
}
