//! The metrics of the deletion guard.

use crate::telemetry::macros::{from_zero, label_values, metrics};
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
        /// No traffic that may move early depends on the pod.
        Unconcerned = "unconcerned",
        /// Neither the pod nor its namespace has the guard's label.
        NotLabelled = "not_labelled",
        /// The decision is the same without the pod, or traffic must not move.
        NoFlip = "no_flip",
        /// The pod was announced before, and was not deleted.
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
    /// Everything about the deletion guard.
    pub(crate) struct GuardMetrics {
        deletions: Family<VerdictLabel, Counter> =
            "guard_deletions",
            "Deletions and evictions of pods that the webhook reviewed, by verdict"
            with from_zero(DeletionVerdict::ALL.iter().map(|verdict| VerdictLabel { verdict: *verdict }));
        seconds: Family<VerdictLabel, Histogram> =
            "guard" in Seconds,
            "How long the deletions were delayed"
            with Family::new_with_constructor(|| { Histogram::new(exponential_buckets(0.000_25, 2.0, 13)) });
        pub forwarded: Counter =
            "guard_forwarded",
            "Of these, announced to the leader by another replica, and answered";
        pub delayed: Counter =
            "guard_delayed",
            "Of these, delayed for a flip";
        pub flips: Counter =
            "guard_flips",
            "Early flips: moves of traffic off pods that are about to be deleted";
        pub taken_back: Counter =
            "guard_taken_back",
            "Early flips taken back, since the pods were not deleted";
        pub cut_off: Gauge =
            "guard_cut_off",
            "1 while this replica cannot announce deletions to the leader";
    }
}

impl GuardMetrics {
    /// Counts a review that was answered.
    pub(crate) fn answered(&self, verdict: DeletionVerdict, took: Duration) {
        let label = VerdictLabel { verdict };
        self.deletions.get_or_create(&label).inc();
        self.seconds.get_or_create(&label).observe(took.as_secs_f64());
    }
}
