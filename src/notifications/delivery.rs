//! Delivers notifications while no write of weights is in flight, in the order of the queue.

use crate::events::{EventAction, EventReason, NewEvent, Recorder, Regarding, wait_quiet};
use crate::kinds::ObjectKey;
use crate::notifications::notification::Notification;
use crate::notifications::queue::{DeliveryQueue, EXPIRES, Next, Outcome, Queued};
use crate::notifications::receiver::Receiver;
use crate::telemetry::report_once::ReportOnce;
use crate::telemetry::{Metrics, NotificationResult};
use futures::StreamExt;
use futures::future::BoxFuture;
use futures::stream::FuturesUnordered;
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::apps::v1::Deployment;
use kube::core::ApiResource;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

/// How long a notification is deferred while writes are in flight, counted from when it was queued.
const LONGEST_WAIT: Duration = Duration::from_secs(30);
/// A receiver that fails for as long is reported.
const REPORTED_AFTER: Duration = Duration::from_secs(60);
/// How long a replica that stops goes on delivering; the rest is left to the next leader.
const STOPPING: Duration = Duration::from_secs(3);
/// How often the queue is looked at although nothing happens.
const LOOK_EVERY: Duration = Duration::from_secs(10);

/// Delivers what is handed over.
pub(crate) struct Delivery {
    pub receiver: Arc<Receiver>,
    pub handed_over: mpsc::Receiver<Notification>,
    pub leading: watch::Receiver<bool>,
    /// Since when no write is in flight.
    pub quiet_since: watch::Receiver<Option<Instant>>,
    /// Of the installation, for Events.
    pub deployment: ObjectKey,
    pub recorder: Recorder,
    pub metrics: Arc<Metrics>,
}

/// An attempt that has ended.
type Attempt = (Queued, Outcome);

/// What is reported of the delivery, each once while it lasts.
#[derive(Default)]
struct Reports {
    failing: ReportOnce<()>,
    /// So many were dropped when that was reported last.
    dropped: u64,
    dropping: ReportOnce<()>,
}

impl Delivery {
    /// Runs until `stop`, then for a moment more while anything is queued.
    pub(crate) async fn run(mut self, stop: CancellationToken) {
        let (mut queue, mut reports) = (DeliveryQueue::default(), Reports::default());
        let mut attempts = FuturesUnordered::new();
        loop {
            self.clean(&mut queue, Instant::now());
            let wait = self.begin(&mut queue, &mut attempts);
            self.report(&queue, &mut reports);
            tokio::select! {
                Some(notification) = self.handed_over.recv() => self.take_in(&mut queue, notification),
                Some(attempt) = attempts.next(), if !attempts.is_empty() => {
                    self.finish(&mut queue, &mut reports, attempt);
                }
                () = tokio::time::sleep(wait.min(LOOK_EVERY)) => {}
                Ok(()) = self.leading.changed() => {}
                () = stop.cancelled() => break,
            }
        }
        let rest = self.finish_all(&mut queue, &mut reports, &mut attempts);
        if tokio::time::timeout(STOPPING, rest).await.is_err() {
            let left = queue.len();
            tracing::warn!(
                left,
                "notifications that were not delivered are left to the next leader"
            );
        }
    }

    /// Delivers what is queued as long as the receiver takes it.
    async fn finish_all(
        &mut self,
        queue: &mut DeliveryQueue,
        reports: &mut Reports,
        attempts: &mut FuturesUnordered<BoxFuture<'static, Attempt>>,
    ) {
        while let Ok(notification) = self.handed_over.try_recv() {
            self.take_in(queue, notification);
        }
        self.begin(queue, attempts);
        while let Some(attempt) = attempts.next().await {
            self.finish(queue, reports, attempt);
            self.begin(queue, attempts);
        }
    }

    /// Begins the attempts that may begin now. Returns how long to wait for the next.
    fn begin(
        &self,
        queue: &mut DeliveryQueue,
        attempts: &mut FuturesUnordered<BoxFuture<'static, Attempt>>,
    ) -> Duration {
        loop {
            match queue.next(Instant::now()) {
                Next::Send(queued) => attempts.push(Box::pin(self.attempt(*queued))),
                Next::Wait(wait) => return wait,
                Next::Idle => return LOOK_EVERY,
            }
        }
    }

    /// An attempt shares this process's CPU with the writes of weights, and waits for them.
    fn attempt(&self, queued: Queued) -> impl Future<Output = Attempt> + Send + use<> {
        let (receiver, mut quiet_since) = (self.receiver.clone(), self.quiet_since.clone());
        async move {
            let wait = LONGEST_WAIT.saturating_sub(queued.since.elapsed());
            let _ = tokio::time::timeout(wait, wait_quiet(&mut quiet_since)).await;
            let outcome = receiver.deliver(&queued, Timestamp::now()).await;
            (queued, outcome)
        }
    }

    fn take_in(&self, queue: &mut DeliveryQueue, notification: Notification) {
        let what = notification.what;
        if queue.push(notification, Instant::now()).is_err() {
            self.metrics.notifications.count(what, NotificationResult::Dropped);
        }
    }

    fn finish(&self, queue: &mut DeliveryQueue, reports: &mut Reports, (queued, outcome): Attempt) {
        let (id, what) = (&queued.id, queued.notification.what);
        let object = queued.notification.about.key();
        queue.finish(queued.number, &outcome, Instant::now(), fastrand::f64());
        let result = match &outcome {
            Outcome::Delivered => NotificationResult::Delivered,
            Outcome::Refused(why) => {
                tracing::warn!(id, what = what.as_str(), %object, why, "the receiver refuses a notification");
                NotificationResult::Refused
            }
            Outcome::Failed { why, .. } => {
                tracing::debug!(id, what = what.as_str(), %object, why, "a notification was not delivered");
                self.report_failing(queue, reports, why);
                NotificationResult::Retried
            }
        };
        self.metrics.notifications.count(what, result);
    }

    /// Removes what another replica sends, and what is no news any more.
    fn clean(&self, queue: &mut DeliveryQueue, now: Instant) {
        if !*self.leading.borrow() {
            self.remove(queue.clear(), NotificationResult::Left);
        }
        let expired = queue.expire(now);
        if !expired.is_empty() {
            let (number, after) =
                (expired.len(), SignedDuration::try_from(EXPIRES).unwrap_or_default());
            tracing::warn!(
                number,
                "notifications were not delivered within {after:#}, and are given up"
            );
        }
        self.remove(expired, NotificationResult::Expired);
    }

    fn remove(&self, removed: Vec<Queued>, result: NotificationResult) {
        for queued in removed {
            self.metrics.notifications.count(queued.notification.what, result);
        }
    }

    fn report_failing(&self, queue: &DeliveryQueue, reports: &mut Reports, why: &str) {
        let lasts = queue.failing_since().is_some_and(|since| since.elapsed() >= REPORTED_AFTER);
        if lasts && reports.failing.begins(()) {
            let note = format!(
                "Notifications to {} have not been delivered for {} s: {why}. They are sent again, ever less often; {} are queued",
                self.receiver.url(),
                REPORTED_AFTER.as_secs(),
                queue.len()
            );
            tracing::warn!("{note}");
            self.publish(note, true);
        }
    }

    fn report(&self, queue: &DeliveryQueue, reports: &mut Reports) {
        let metrics = &self.metrics.notifications;
        metrics.queued.set(queue.len() as i64);
        metrics.failing.set(i64::from(queue.is_failing()));
        let since = |at: Instant| SignedDuration::try_from(at.elapsed()).unwrap_or_default();
        let oldest = queue.oldest().map(|at| (Timestamp::now() - since(at)).as_second());
        metrics.oldest.set(oldest.unwrap_or_default());
        if queue.failing_since().is_none() && reports.failing.ends() {
            let note = format!("Notifications to {} are delivered again", self.receiver.url());
            tracing::info!("{note}");
            self.publish(note, false);
        }
        self.report_dropped(queue, reports, metrics.dropped.get());
    }

    /// Reported once, and again only after the queue has been empty.
    fn report_dropped(&self, queue: &DeliveryQueue, reports: &mut Reports, dropped: u64) {
        if queue.len() == 0 {
            reports.dropping.ends();
        }
        if dropped > reports.dropped && reports.dropping.begins(()) {
            let note = format!(
                "Notifications to {} are dropped: {} are queued, which is the most; the metric linkerd_failover_notifications_dropped_total counts them. Is the receiver too slow?",
                self.receiver.url(),
                queue.len()
            );
            tracing::warn!("{note}");
            self.publish(note, true);
        }
        reports.dropped = dropped;
    }

    fn publish(&self, note: String, begins: bool) {
        let deployment = ApiResource::erase::<Deployment>(&());
        let regarding = Regarding::named(self.deployment.clone(), deployment);
        let (reason, action) = (EventReason::NotificationsNotDelivered, EventAction::Notify);
        self.recorder.publish(match begins {
            true => NewEvent::warning(regarding, reason, action, note),
            false => NewEvent::normal(regarding, reason, action, note),
        });
    }
}
