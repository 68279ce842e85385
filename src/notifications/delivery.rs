//! Delivers notifications while no write of weights is in flight, in the order of the queue.

use crate::events::{EventAction, EventReason, NewEvent, Recorder, Regarding, wait_quiet};
use crate::kinds::ObjectKey;
use crate::notifications::notifier::HandedOver;
use crate::notifications::queue::{DeliveryQueue, EXPIRES, Next, Outcome, Queued};
use crate::notifications::receiver::Receiver;
use crate::notifications::reports::{Facts, Report, Reports};
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
/// How long a replica that stops goes on delivering; the rest is left to the next leader.
const STOPPING: Duration = Duration::from_secs(3);
/// How often the queue is looked at although nothing happens.
const LOOK_EVERY: Duration = Duration::from_secs(10);
/// So many are taken in at once: a fan-out hands over thousands.
const AT_A_TIME: usize = 256;

/// Delivers what is handed over.
pub(crate) struct Delivery {
    pub receiver: Arc<Receiver>,
    pub handed_over: mpsc::UnboundedReceiver<HandedOver>,
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

/// Attempts that are under way.
type Attempts = FuturesUnordered<BoxFuture<'static, Attempt>>;

impl Delivery {
    /// Runs until `stop`, then for a moment more while anything is queued.
    pub(crate) async fn run(mut self, stop: CancellationToken) {
        let (mut queue, mut reports) = (DeliveryQueue::default(), Reports::default());
        let (mut attempts, mut received) = (Attempts::new(), vec![]);
        loop {
            self.clean(&mut queue, Instant::now());
            let wait = self.begin(&mut queue, &mut attempts);
            self.show(&queue, &mut reports);
            tokio::select! {
                1.. = self.handed_over.recv_many(&mut received, AT_A_TIME) => {
                    received.drain(..).for_each(|one| queue.push(one, Instant::now()));
                }
                Some(attempt) = attempts.next(), if !attempts.is_empty() => {
                    self.finish(&mut queue, attempt);
                }
                () = tokio::time::sleep(wait.min(LOOK_EVERY)) => {}
                Ok(()) = self.leading.changed() => {}
                () = stop.cancelled() => break,
            }
        }
        self.stop(queue, attempts).await;
    }

    /// Delivers for a moment more, and leaves the rest to the next leader.
    async fn stop(mut self, mut queue: DeliveryQueue, mut attempts: Attempts) {
        let rest = self.deliver_rest(&mut queue, &mut attempts);
        let _ = tokio::time::timeout(STOPPING, rest).await;
        if queue.len() > 0 {
            tracing::warn!(
                left = queue.len(),
                "notifications that were not delivered are left to the next leader, which sends what is recent"
            );
        }
        drop(attempts);
        self.remove(queue.take_all(), NotificationResult::Left);
    }

    /// Delivers what is queued as long as the receiver takes it.
    async fn deliver_rest(&mut self, queue: &mut DeliveryQueue, attempts: &mut Attempts) {
        while let Ok(one) = self.handed_over.try_recv() {
            queue.push(one, Instant::now());
        }
        self.begin(queue, attempts);
        while let Some(attempt) = attempts.next().await {
            self.finish(queue, attempt);
            self.begin(queue, attempts);
        }
    }

    /// Begins the attempts that may begin now. Returns how long to wait for the next.
    fn begin(&self, queue: &mut DeliveryQueue, attempts: &mut Attempts) -> Duration {
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

    fn finish(&self, queue: &mut DeliveryQueue, (queued, outcome): Attempt) {
        queue.finish(queued.number, &outcome, Instant::now(), fastrand::f64());
        let (id, what) = (&queued.id, queued.notification.what);
        self.metrics.notifications.count(what, outcome.result());
        let (what, object) = (what.as_str(), queued.notification.about.key());
        match &outcome {
            Outcome::Delivered => {}
            Outcome::Refused(why) => {
                tracing::warn!(id, what, %object, why, "the receiver refuses a notification");
            }
            Outcome::Failed { why, .. } => {
                tracing::debug!(id, what, %object, why, "a notification was not delivered");
            }
        }
    }

    /// Removes what another replica sends, and what is no news any more.
    fn clean(&self, queue: &mut DeliveryQueue, now: Instant) {
        if !*self.leading.borrow() {
            self.remove(queue.stand_by(), NotificationResult::Left);
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

    /// Shows the state of the queue in the metrics, and reports what a person has to know of it.
    fn show(&self, queue: &DeliveryQueue, reports: &mut Reports) {
        let metrics = &self.metrics.notifications;
        metrics.queued.set(queue.len() as i64);
        metrics.failing.set(i64::from(queue.is_failing()));
        let since = |at: Instant| SignedDuration::try_from(at.elapsed()).unwrap_or_default();
        let oldest = queue.oldest().map(|at| (Timestamp::now() - since(at)).as_second());
        metrics.oldest.set(oldest.unwrap_or_default());
        let facts = Facts::new(queue, *self.leading.borrow(), metrics.dropped.get());
        for report in reports.observe(facts, Instant::now()) {
            self.publish(&report);
        }
    }

    fn publish(&self, report: &Report) {
        let deployment = ApiResource::erase::<Deployment>(&());
        let regarding = Regarding::named(self.deployment.clone(), deployment);
        let (reason, action) = (EventReason::NotificationsNotDelivered, EventAction::Notify);
        let note = report.note(self.receiver.url());
        let event = if report.is_warning() {
            tracing::warn!("{note}");
            NewEvent::warning(regarding, reason, action, note)
        } else {
            tracing::info!("{note}");
            NewEvent::normal(regarding, reason, action, note)
        };
        self.recorder.publish(event);
    }
}

#[cfg(test)]
#[path = "delivery_tests.rs"]
mod tests;
