//! The metrics of the admission webhook.

use crate::telemetry::macros::{label_values, metrics};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use std::time::Duration;

label_values! {
    /// The connection that was closed because there were too many.
    pub(crate) enum ClosedConnection {
        /// The one that was idle for longest.
        Quiet = "quiet",
        /// The new one: no other was idle.
        New = "new",
    }
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Review {
    webhook: &'static str,
    operation: &'static str,
    verdict: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Asked {
    webhook: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct ShedReview {
    why: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct ShedConnection {
    which: ClosedConnection,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct FailedHandshake {
    why: &'static str,
}

metrics! {
    /// What the webhook counts.
    pub(crate) struct AdmissionMetrics {
        reviews: Family<Review, Counter> =
            "admissions",
            "Admission reviews answered, by webhook, operation on the object, and verdict";
        seconds: Family<Asked, Histogram> =
            "admission" in Seconds,
            "From a review's headers to its answer"
            // From 0.1 ms, which is what a usual answer takes, to 6.5 s, after every deadline.
            with Family::new_with_constructor(|| { Histogram::new(exponential_buckets(0.000_1, 2.0, 17)) });
        pub in_flight: Gauge =
            "admissions_in_flight",
            "Admission reviews under way, those included whose body is still read";
        pub panics: Counter =
            "admission_panics",
            "Admission reviews in which this program panicked: each is a defect";
        shed: Family<ShedReview, Counter> =
            "admissions_shed",
            "Admission reviews turned away because too many (requests) or too large ones (memory) were under way";
        pub connections: Gauge =
            "webhook_connections",
            "Connections to the webhook that are open";
        shed_connections: Family<ShedConnection, Counter> =
            "webhook_connections_shed",
            "Connections closed because there were too many: the one that was quiet for longest, or, where none was, the new one";
        failed_handshakes: Family<FailedHandshake, Counter> =
            "webhook_handshakes_failed",
            "TLS handshakes with the webhook that failed, by why; closed is a client that went away, as a check of the port does";
    }
}

impl AdmissionMetrics {
    pub(crate) fn handshake_failed(&self, why: &'static str) {
        self.failed_handshakes.get_or_create(&FailedHandshake { why }).inc();
    }

    pub(crate) fn answered(
        &self,
        webhook: &'static str,
        operation: &'static str,
        verdict: &'static str,
        took: Duration,
    ) {
        self.reviews.get_or_create(&Review { webhook, operation, verdict }).inc();
        self.seconds.get_or_create(&Asked { webhook }).observe(took.as_secs_f64());
    }

    pub(crate) fn shed(&self, why: &'static str) {
        self.shed.get_or_create(&ShedReview { why }).inc();
    }

    pub(crate) fn shed_connection(&self, which: ClosedConnection) {
        self.shed_connections.get_or_create(&ShedConnection { which }).inc();
    }
}
