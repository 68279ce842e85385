//! The metrics of notifications.

use crate::telemetry::macros::{from_zero, label_values, metrics};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;

label_values! {
    /// What a notification is about. The strings are a part of the type of its CloudEvent.
    #[derive(PartialOrd, Ord)]
    pub(crate) enum NotificationType {
        /// Traffic is on a fallback.
        Failover = "failover",
        /// Traffic is on the primaries again.
        Return = "return",
        /// Traffic stays where it is: nothing is ready, or a person has to agree.
        Held = "held",
        /// Traffic is on the primaries, and no fallback is ready.
        NoFallback = "no-fallback",
        /// Another writer keeps replacing the weights.
        OtherWriter = "other-writer",
        /// A linked cluster counts as down.
        ClusterDown = "cluster-down",
    }
}

label_values! {
    /// What became of a notification, or of an attempt to deliver it.
    pub(crate) enum NotificationResult {
        /// The receiver has taken it.
        Delivered = "delivered",
        /// An attempt failed; it is tried again.
        Retried = "retried",
        /// The receiver does not take it, and would not later.
        Refused = "refused",
        /// Too many were queued.
        Dropped = "dropped",
        /// It could not be delivered for too long.
        Expired = "expired",
        /// This replica does not lead any more: it is left to the leader.
        Left = "left",
    }
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct NotificationLabels {
    r#type: NotificationType,
    result: NotificationResult,
}

/// The ends that an alert looks at: the first one is to be seen too.
fn lost() -> impl Iterator<Item = NotificationLabels> {
    use NotificationResult::{Dropped, Expired, Refused};
    NotificationType::ALL.iter().flat_map(|r#type| {
        [Dropped, Expired, Refused].map(|result| NotificationLabels { r#type: *r#type, result })
    })
}

metrics! {
    /// Everything about notifications.
    pub(crate) struct NotificationMetrics {
        notifications: Family<NotificationLabels, Counter> =
            "notifications",
            "Notifications by type and by what became of them; retried is an attempt that failed"
            with from_zero(lost());
        pub queued: Gauge =
            "notifications_queued",
            "Notifications that wait for their delivery, those that are being sent included";
        pub oldest: Gauge =
            "notifications_oldest_timestamp" in Seconds,
            "When the oldest of the queued notifications was queued, since the epoch; 0 while none is";
        pub dropped: Counter =
            "notifications_dropped",
            "Notifications that were dropped because too many were queued";
        pub failing: Gauge =
            "notifications_failing",
            "1 while the receiver of notifications does not take them; the next attempt is delayed";
    }
}

impl NotificationMetrics {
    /// Counts a notification, or an attempt to deliver it.
    pub(crate) fn count(&self, r#type: NotificationType, result: NotificationResult) {
        self.notifications.get_or_create(&NotificationLabels { r#type, result }).inc();
        if result == NotificationResult::Dropped {
            self.dropped.inc();
        }
    }
}
