//! The metrics of the admission webhook.

use crate::telemetry::macros::{from_zero, label_values, metrics};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use serde::Deserialize;
use std::time::Duration;

label_values! {
    /// What a review asks for, by the path of its webhook.
    pub(crate) enum ReviewPath {
        Mutate = "mutate",
        Validate = "validate",
        /// The deletion of a Service: only warns.
        ServiceDeletion = "service-deletion",
        /// A Service with the annotation that declares it down.
        DeclaredDown = "declared-down",
    }
}

label_values! {
    /// What is done to the object of a review.
    #[derive(Default, Deserialize)]
    #[serde(rename_all = "UPPERCASE")]
    pub(crate) enum ObjectOperation {
        Create = "CREATE",
        Update = "UPDATE",
        Delete = "DELETE",
        Connect = "CONNECT",
        #[default]
        #[serde(other)]
        Unknown = "unknown",
    }
}

label_values! {
    /// How a review ended.
    pub(crate) enum ReviewOutcome {
        Allowed = "allowed",
        Denied = "denied",
        /// The body is no AdmissionReview.
        Malformed = "malformed",
        /// The body broke off, or is larger than any review.
        Unread = "unread",
        /// The deadline passed.
        Late = "late",
        Panicked = "panicked",
    }
}

label_values! {
    /// Why a request is turned away.
    pub(crate) enum ShedReason {
        Requests = "requests",
        /// The bodies of other requests take all memory.
        Memory = "memory",
        /// Too many large reviews.
        Heavy = "heavy",
        Deletions = "deletions",
    }
}

label_values! {
    /// Why a TLS handshake failed.
    #[derive(PartialOrd, Ord)]
    pub(crate) enum HandshakeFailure {
        /// The client supports no TLS version that the webhook does.
        TlsVersion = "tls_version",
        /// The client has no cipher suite, group or signature in common with the webhook.
        Incompatible = "incompatible",
        /// The client sent no certificate, and one is required.
        NoClientCertificate = "no_client_certificate",
        /// The client's certificate does not verify.
        ClientCertificate = "client_certificate",
        /// The client does not trust the webhook's certificate.
        OurCertificate = "our_certificate",
        /// The webhook has no certificate yet.
        NothingToServe = "nothing_to_serve",
        /// The bytes are not TLS.
        NotTls = "not_tls",
        /// The client did not complete the handshake in time.
        Timeout = "timeout",
        /// The client closed the connection, as a check of the port does.
        Closed = "closed",
        Other = "other",
    }
}

label_values! {
    /// The connection that was closed because there were too many.
    pub(crate) enum ClosedConnection {
        /// The one that was idle for longest.
        Idle = "quiet",
        /// The new one: no other was idle.
        New = "new",
    }
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct ReviewLabels {
    webhook: ReviewPath,
    operation: ObjectOperation,
    verdict: ReviewOutcome,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct WebhookLabel {
    webhook: ReviewPath,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct ShedReview {
    why: ShedReason,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct ShedConnection {
    which: ClosedConnection,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct FailedHandshake {
    why: HandshakeFailure,
}

/// The reviews that an alert looks at: the first one is to be seen too.
fn failures() -> impl Iterator<Item = ReviewLabels> {
    let verdicts = [ReviewOutcome::Late, ReviewOutcome::Panicked].into_iter();
    verdicts.flat_map(|verdict| {
        ReviewPath::ALL.iter().flat_map(move |webhook| {
            let of = move |operation: &ObjectOperation| ReviewLabels {
                webhook: *webhook,
                operation: *operation,
                verdict,
            };
            ObjectOperation::ALL.iter().map(of)
        })
    })
}

metrics! {
    /// What the webhook counts.
    pub(crate) struct AdmissionMetrics {
        reviews: Family<ReviewLabels, Counter> =
            "admissions",
            "Admission reviews answered, by webhook, operation on the object, and verdict"
            with from_zero(failures());
        seconds: Family<WebhookLabel, Histogram> =
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
            "Admission reviews turned away because too many (requests) or too large ones (memory) were under way"
            with from_zero(ShedReason::ALL.iter().map(|why| ShedReview { why: *why }));
        pub connections: Gauge =
            "webhook_connections",
            "Connections to the webhook that are open";
        shed_connections: Family<ShedConnection, Counter> =
            "webhook_connections_shed",
            "Connections closed because there were too many: an idle one of the client that has the most of them (quiet), or, where none was idle, the new one (new)"
            with from_zero(ClosedConnection::ALL.iter().map(|which| ShedConnection { which: *which }));
        failed_handshakes: Family<FailedHandshake, Counter> =
            "webhook_handshakes_failed",
            "TLS handshakes with the webhook that failed, by why; closed is a client that went away, as a check of the port does"
            with from_zero(HandshakeFailure::ALL.iter().map(|why| FailedHandshake { why: *why }));
    }
}

impl AdmissionMetrics {
    pub(crate) fn handshake_failed(&self, why: HandshakeFailure) {
        self.failed_handshakes.get_or_create(&FailedHandshake { why }).inc();
    }

    pub(crate) fn answered(
        &self,
        webhook: ReviewPath,
        operation: ObjectOperation,
        verdict: ReviewOutcome,
        took: Duration,
    ) {
        self.reviews.get_or_create(&ReviewLabels { webhook, operation, verdict }).inc();
        self.seconds.get_or_create(&WebhookLabel { webhook }).observe(took.as_secs_f64());
    }

    pub(crate) fn shed(&self, why: ShedReason) {
        self.shed.get_or_create(&ShedReview { why }).inc();
    }

    pub(crate) fn shed_connection(&self, which: ClosedConnection) {
        self.shed_connections.get_or_create(&ShedConnection { which }).inc();
    }
}
