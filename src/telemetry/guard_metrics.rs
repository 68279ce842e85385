//! The metrics of the deletion guard.

use crate::telemetry::macros::{label_values, metrics};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use std::time::Duration;

label_values! {
    /// Why the deletion of a pod went on.
    pub(crate) enum DeletionVerdict {
        DryRun = "dry_run",
        /// The pod is being deleted already.
        TooLate = "too_late",
        /// No traffic that may be moved depends on the pod.
        Unconcerned = "unconcerned",
        /// The decision is the same without the pod, or traffic must not move.
        NoFlip = "no_flip",
        /// The pod was announced lately, and was not deleted.
        NotBelieved = "not_believed",
        /// No leader decided on it.
        NoDecision = "no_judge",
        /// Traffic has moved.
        Flipped = "flipped",
        /// The bound was reached before traffic had moved.
        Bound = "bound",
        /// This program panicked: a defect.
        Panicked = "panicked",
    }
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct VerdictLabel {
    verdict: DeletionVerdict,
}

metrics! {
    /// Everything about announcements of pod deletions.
    pub(crate) struct GuardMetrics {
        deletions: Family<VerdictLabel, Counter> =
            "guard_deletions",
            "Deletions and evictions of pods that the API server asked about, by what became of it";
        seconds: Family<VerdictLabel, Histogram> =
            "guard" in Seconds,
            "How long they were held up"
            with Family::new_with_constructor(|| { Histogram::new(exponential_buckets(0.000_25, 2.0, 13)) });
        /// Judged by the replica that leads.
        pub forwarded: Counter =
            "guard_forwarded",
            "Of these, judged by the replica that leads, which answered";
        /// Waited for a flip.
        pub delayed: Counter =
            "guard_delayed",
            "Of these, held up for a flip";
        pub flips: Counter =
            "guard_flips",
            "Moves of traffic ahead of a loss";
        pub taken_back: Counter =
            "guard_taken_back",
            "Moves of traffic back to what was left ahead of a loss that did not come";
        pub cut_off: Gauge =
            "guard_cut_off",
            "1 while this replica does not reach the one that leads, to have deletions judged";
    }
}

impl GuardMetrics {
    /// A deletion goes on.
    pub(crate) fn answered(&self, verdict: DeletionVerdict, took: Duration) {
        let label = VerdictLabel { verdict };
        self.deletions.get_or_create(&label).inc();
        self.seconds.get_or_create(&label).observe(took.as_secs_f64());
    }
}
