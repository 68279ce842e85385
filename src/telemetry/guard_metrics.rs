//! The metrics of deletions that may be held up for a flip.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::{Registry, Unit};
use std::time::Duration;

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Judged {
    verdict: &'static str,
}

/// Everything about announced losses.
#[derive(Debug)]
pub(crate) struct GuardMetrics {
    deletions: Family<Judged, Counter>,
    seconds: Family<Judged, Histogram>,
    /// Judged by the replica that leads.
    pub forwarded: Counter,
    /// Waited for a flip.
    pub delayed: Counter,
    pub flips: Counter,
    pub taken_back: Counter,
    pub cut_off: Gauge,
}

impl Default for GuardMetrics {
    fn default() -> Self {
        Self {
            deletions: Family::default(),
            seconds: Family::new_with_constructor(|| {
                Histogram::new(exponential_buckets(0.000_25, 2.0, 13))
            }),
            forwarded: Counter::default(),
            delayed: Counter::default(),
            flips: Counter::default(),
            taken_back: Counter::default(),
            cut_off: Gauge::default(),
        }
    }
}

impl GuardMetrics {
    pub(crate) fn register(&self, r: &mut Registry) {
        r.register(
            "guard_deletions",
            "Deletions and evictions of pods that the API server asked about, by what became of it",
            self.deletions.clone(),
        );
        r.register_with_unit(
            "guard",
            "How long they were held up",
            Unit::Seconds,
            self.seconds.clone(),
        );
        r.register(
            "guard_forwarded",
            "Of these, judged by the replica that leads, which answered",
            self.forwarded.clone(),
        );
        r.register("guard_delayed", "Of these, held up for a flip", self.delayed.clone());
        r.register("guard_flips", "Moves of traffic ahead of a loss", self.flips.clone());
        r.register(
            "guard_taken_back",
            "Moves of traffic back to what was left ahead of a loss that did not come",
            self.taken_back.clone(),
        );
        r.register(
            "guard_cut_off",
            "1 while this replica does not reach the one that leads, to have deletions judged",
            self.cut_off.clone(),
        );
    }

    /// A deletion goes on.
    pub(crate) fn answered(&self, verdict: &'static str, took: Duration) {
        let judged = Judged { verdict };
        self.deletions.get_or_create(&judged).inc();
        self.seconds.get_or_create(&judged).observe(took.as_secs_f64());
    }
}
