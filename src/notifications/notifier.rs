//! Hands notifications over, without ever waiting.

use crate::notifications::notification::Notification;
use crate::notifications::queue::BOUND;
use crate::telemetry::{Metrics, NotificationResult, NotificationType};
use std::sync::Arc;
use tokio::sync::mpsc;

/// Hands notifications over to their delivery.
#[derive(Clone, Debug)]
pub(crate) struct Notifier {
    /// None: nothing is sent.
    delivery: Option<mpsc::Sender<Notification>>,
    types: Arc<[NotificationType]>,
    metrics: Arc<Metrics>,
}

impl Notifier {
    /// One that sends nothing.
    pub(crate) fn off(metrics: Arc<Metrics>) -> Self {
        Self { delivery: None, types: Arc::from([]), metrics }
    }

    /// One that hands over notifications of these types, and where they arrive.
    pub(crate) fn new(
        types: &[NotificationType],
        metrics: Arc<Metrics>,
    ) -> (Self, mpsc::Receiver<Notification>) {
        let (delivery, handed_over) = mpsc::channel(BOUND);
        (Self { delivery: Some(delivery), types: types.into(), metrics }, handed_over)
    }

    /// Whether anything is sent.
    pub(crate) fn is_on(&self) -> bool {
        self.delivery.is_some()
    }

    /// Hands a notification over. A full channel drops it and counts that: no flip waits for a receiver.
    pub(crate) fn notify(&self, notification: Notification) {
        let what = notification.what;
        let Some(delivery) = self.delivery.as_ref().filter(|_| self.types.contains(&what)) else {
            return;
        };
        if delivery.try_send(notification).is_err() {
            self.metrics.notifications.count(what, NotificationResult::Dropped);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::notifications::notification::tests::failover;

    #[test]
    fn only_the_types_that_are_asked_for_are_handed_over_and_what_is_too_much_is_counted() {
        let metrics = Arc::new(Metrics::default());
        let (notifier, mut handed_over) =
            Notifier::new(&[NotificationType::Failover], metrics.clone());
        let held = Notification { what: NotificationType::Held, ..failover("web", 1) };
        notifier.notify(held);
        assert!(handed_over.try_recv().is_err());
        for second in 0..=BOUND as i64 {
            notifier.notify(failover("web", second));
        }
        assert_eq!(metrics.notifications.dropped.get(), 1);
        assert_eq!(handed_over.try_recv().unwrap(), failover("web", 0));
        let line = r#"linkerd_failover_notifications_total{type="failover",result="dropped"} 1"#;
        assert!(metrics.encode().contains(line));
    }

    #[test]
    fn without_a_receiver_nothing_is_handed_over_or_counted() {
        let metrics = Arc::new(Metrics::default());
        let notifier = Notifier::off(metrics.clone());
        notifier.notify(failover("web", 1));
        let text = metrics.encode();
        let mut counts = text.lines().filter(|line| line.contains("notifications_total{"));
        assert!(!notifier.is_on() && counts.all(|line| line.ends_with(" 0")), "{text}");
    }
}
