//! The metrics of the admission webhook.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::{Registry, Unit};
use std::time::Duration;

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
    which: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct FailedHandshake {
    why: &'static str,
}

/// What the webhook counts.
#[derive(Debug)]
pub(crate) struct AdmissionMetrics {
    reviews: Family<Review, Counter>,
    seconds: Family<Asked, Histogram>,
    pub in_flight: Gauge,
    pub panics: Counter,
    shed: Family<ShedReview, Counter>,
    pub connections: Gauge,
    shed_connections: Family<ShedConnection, Counter>,
    failed_handshakes: Family<FailedHandshake, Counter>,
}

impl Default for AdmissionMetrics {
    fn default() -> Self {
        Self {
            reviews: Family::default(),
            // From 0.1 ms, which is what a usual answer takes, to 6.5 s, after every deadline.
            seconds: Family::new_with_constructor(|| {
                Histogram::new(exponential_buckets(0.000_1, 2.0, 17))
            }),
            in_flight: Gauge::default(),
            panics: Counter::default(),
            shed: Family::default(),
            connections: Gauge::default(),
            shed_connections: Family::default(),
            failed_handshakes: Family::default(),
        }
    }
}

impl AdmissionMetrics {
    pub(crate) fn register(&self, r: &mut Registry) {
        r.register(
            "admissions",
            "Admission reviews answered, by webhook, operation on the object, and verdict",
            self.reviews.clone(),
        );
        r.register_with_unit(
            "admission",
            "From a review's headers to its answer",
            Unit::Seconds,
            self.seconds.clone(),
        );
        r.register(
            "admissions_in_flight",
            "Admission reviews under way, those included whose body is still read",
            self.in_flight.clone(),
        );
        r.register(
            "admission_panics",
            "Admission reviews in which this program panicked: each is a defect",
            self.panics.clone(),
        );
        r.register(
            "admissions_shed",
            "Admission reviews turned away because too many (requests) or too large ones (memory) were under way",
            self.shed.clone(),
        );
        r.register(
            "webhook_connections",
            "Connections to the webhook that are open",
            self.connections.clone(),
        );
        r.register(
            "webhook_connections_shed",
            "Connections closed because there were too many: the one that was quiet for longest, or, where none was, the new one",
            self.shed_connections.clone(),
        );
        r.register(
            "webhook_handshakes_failed",
            "TLS handshakes with the webhook that failed, by why; closed is a client that went away, as a check of the port does",
            self.failed_handshakes.clone(),
        );
    }

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

    pub(crate) fn shed_connection(&self, which: &'static str) {
        self.shed_connections.get_or_create(&ShedConnection { which }).inc();
    }
}
