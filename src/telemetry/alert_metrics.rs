//! The metrics of the receiver of alerts.

use crate::telemetry::macros::{from_zero, label_values, metrics};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;

label_values! {
    /// What became of an alert.
    pub(crate) enum AlertOutcome {
        /// It declares the Service down from now on.
        Declared = "declared",
        /// It goes on, and so does its declaration.
        Extended = "extended",
        /// It is resolved, and its declaration ends once the minimum stay has passed.
        Shortened = "shortened",
        /// It is resolved, and its declaration has ended.
        Ended = "ended",
        /// There was nothing to change.
        Unchanged = "unchanged",
        /// A person has declared the Service down: an alert changes nothing about that.
        ByPerson = "by_person",
        /// Too many other alerts declare the Service down.
        TooMany = "too_many",
        /// Its labels name no Service.
        Invalid = "invalid",
        /// Its Service is not there, or not in a namespace of this installation.
        NoService = "no_service",
        /// Its sender may not patch its Service.
        Forbidden = "forbidden",
        /// The API server did not answer, or refused the write; Alertmanager repeats it.
        Failed = "failed",
    }
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct OutcomeLabel {
    outcome: AlertOutcome,
}

label_values! {
    /// Why a request of the receiver's was refused before its alerts were looked at.
    pub(crate) enum RefusedAlerts {
        /// Its token is not valid.
        Unauthenticated = "unauthenticated",
        /// It was not possible to review its token.
        NotReviewed = "not_reviewed",
        /// It is no notification of Alertmanager's, or too large a one.
        Unreadable = "unreadable",
        /// Too many were under way, or it took too long.
        Shed = "shed",
    }
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct RefusedLabel {
    why: RefusedAlerts,
}

metrics! {
    /// Everything about the receiver of alerts.
    pub(crate) struct AlertMetrics {
        alerts: Family<OutcomeLabel, Counter> =
            "alerts",
            "Alerts that Alertmanager sent, by what became of them"
            with from_zero(AlertOutcome::ALL.iter().map(|outcome| OutcomeLabel { outcome: *outcome }));
        refused: Family<RefusedLabel, Counter> =
            "alert_requests_refused",
            "Requests of Alertmanager that were refused before their alerts were looked at, by why"
            with from_zero(RefusedAlerts::ALL.iter().map(|why| RefusedLabel { why: *why }));
        pub truncated: Counter =
            "alerts_truncated",
            "Alerts that Alertmanager left out of its requests, by its max_alerts: they have no effect";
        pub ca_unpublished: Gauge =
            "alerts_ca_unpublished",
            "ConfigMaps for Alertmanager that do not have the CA of the webhook's certificate; an Event on our Deployment says why";
    }
}

impl AlertMetrics {
    /// Counts an alert.
    pub(crate) fn count(&self, outcome: AlertOutcome) {
        self.alerts.get_or_create(&OutcomeLabel { outcome }).inc();
    }

    /// Counts a request that is refused.
    pub(crate) fn refuse(&self, why: RefusedAlerts) {
        self.refused.get_or_create(&RefusedLabel { why }).inc();
    }
}
