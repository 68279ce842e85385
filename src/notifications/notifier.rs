//! Hands notifications over, without ever waiting.

use crate::notifications::capacity::{Capacity, Place};
use crate::notifications::notification::Notification;
use crate::telemetry::{Metrics, NotificationResult, NotificationType};
use std::sync::Arc;
use tokio::sync::mpsc;

/// Hands notifications over to their delivery.
#[derive(Clone, Debug)]
pub(crate) struct Notifier {
    /// None: nothing is sent.
    delivery: Option<mpsc::UnboundedSender<HandedOver>>,
    types: Arc<[NotificationType]>,
    capacity: Capacity,
    metrics: Arc<Metrics>,
}

/// A notification for the delivery, with its place in what may be queued.
#[derive(Debug)]
pub(crate) struct HandedOver {
    pub(super) notification: Notification,
    pub(super) place: Place,
}

impl Notifier {
    /// One that sends nothing.
    pub(crate) fn off(metrics: Arc<Metrics>) -> Self {
        let (types, capacity) = (Arc::from([]), Capacity::default());
        Self { delivery: None, types, capacity, metrics }
    }

    /// One that hands over notifications of these types, and where they arrive.
    pub(crate) fn new(
        types: &[NotificationType],
        metrics: Arc<Metrics>,
    ) -> (Self, mpsc::UnboundedReceiver<HandedOver>) {
        // Bounded by the places.
        let (delivery, handed_over) = mpsc::unbounded_channel();
        let (types, capacity) = (types.into(), Capacity::default());
        (Self { delivery: Some(delivery), types, capacity, metrics }, handed_over)
    }

    /// Whether notifications of this type are sent: nothing is put together for any other.
    pub(crate) fn sends(&self, what: NotificationType) -> bool {
        self.types.contains(&what)
    }

    /// Whether notifications of any of these types are sent.
    pub(crate) fn sends_any(&self, types: &[NotificationType]) -> bool {
        types.iter().any(|what| self.sends(*what))
    }

    /// Hands a notification over. Where too many are queued it is dropped, and counted: no flip waits for a
    /// receiver.
    pub(crate) fn notify(&self, notification: Notification) {
        let what = notification.what;
        let Some(delivery) = self.delivery.as_ref().filter(|_| self.sends(what)) else { return };
        let handed_over = self
            .capacity
            .take(&notification)
            .and_then(|place| delivery.send(HandedOver { notification, place }).ok());
        if handed_over.is_none() {
            self.metrics.notifications.count(what, NotificationResult::Dropped);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::notifications::capacity::MOST;
    use crate::notifications::notification::tests::failover;

    #[test]
    fn only_the_types_that_are_asked_for_are_handed_over_and_what_is_too_much_is_counted() {
        let metrics = Arc::new(Metrics::default());
        let (notifier, mut handed_over) =
            Notifier::new(&[NotificationType::Failover], metrics.clone());
        assert!(notifier.sends(NotificationType::Failover));
        assert!(!notifier.sends_any(&[NotificationType::Held, NotificationType::Return]));
        let held = Notification { what: NotificationType::Held, ..failover("web", 1) };
        notifier.notify(held);
        assert!(handed_over.try_recv().is_err());
        for second in 0..=MOST as i64 {
            notifier.notify(failover("web", second));
        }
        assert_eq!(metrics.notifications.dropped.get(), 1);
        // One that the delivery has taken and not delivered still has its place.
        let first = handed_over.try_recv().unwrap();
        assert_eq!(first.notification, failover("web", 0));
        notifier.notify(failover("web", -1));
        assert_eq!(metrics.notifications.dropped.get(), 2);
        drop(first);
        notifier.notify(failover("web", -2));
        assert_eq!(metrics.notifications.dropped.get(), 2);
        let line = r#"linkerd_failover_notifications_total{type="failover",result="dropped"} 2"#;
        assert!(metrics.encode().contains(line));
    }

    #[test]
    fn without_a_receiver_nothing_is_handed_over_or_counted() {
        let metrics = Arc::new(Metrics::default());
        let notifier = Notifier::off(metrics.clone());
        notifier.notify(failover("web", 1));
        assert!(!notifier.sends_any(NotificationType::ALL));
        let text = metrics.encode();
        let mut counts = text.lines().filter(|line| line.contains("notifications_total{"));
        assert!(counts.all(|line| line.ends_with(" 0")), "{text}");
    }
}
