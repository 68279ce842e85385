//! Publishes Events while no write of weights is in flight, nor was a moment ago.
//!
//! By hand because kube's `Recorder` joins Events by object and reason whatever their note, so a
//! second failover would have the note of the first.

use crate::events::NewEvent;
use crate::kinds::{brief, is_absent};
use crate::telemetry::Metrics;
use futures::StreamExt;
use jiff::Timestamp;
use k8s_openapi::api::events::v1::Event;
use kube::api::PostParams;
use kube::{Api, Client};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::{mpsc, watch};

/// Events that are queued: more are dropped, and counted.
const QUEUE: usize = 4096;

/// Requests in flight at once, so that one that hangs does not block the others.
const AT_ONCE: usize = 8;

/// How long an Event is deferred while writes are in flight, counted from when it happened.
const LONGEST_WAIT: Duration = Duration::from_secs(30);

/// For how long no write has been in flight before an Event is published: Services that go together go
/// within less, and the Events of the first would stand before the flips of the last.
const QUIET: Duration = Duration::from_millis(200);

/// Why the API server takes nothing new in a namespace.
const NAMESPACE_TERMINATING: &str = "NamespaceTerminating";

/// As for any write.
const TIMEOUT: Duration = Duration::from_secs(40);

/// Queues Events for the publisher.
#[derive(Clone, Debug)]
pub(crate) struct Recorder {
    events: mpsc::Sender<NewEvent>,
    metrics: Arc<Metrics>,
}

/// Publishes the Events of its recorders.
#[derive(Debug)]
pub(crate) struct Publisher {
    events: mpsc::Receiver<NewEvent>,
    metrics: Arc<Metrics>,
}

impl Recorder {
    /// A recorder, and its publisher.
    pub(crate) fn new(metrics: Arc<Metrics>) -> (Self, Publisher) {
        let (events, published) = mpsc::channel(QUEUE);
        let publisher = Publisher { events: published, metrics: metrics.clone() };
        (Self { events, metrics }, publisher)
    }

    /// Queues an Event. A full queue drops it and counts that: no flip waits for Events.
    pub(crate) fn publish(&self, event: NewEvent) {
        if self.events.try_send(event).is_err() {
            self.metrics.events_dropped.inc();
        }
    }
}

impl Publisher {
    /// How many are queued.
    #[cfg(test)]
    pub(crate) fn queued(&self) -> usize {
        self.events.len()
    }

    /// Publishes while it is quiet, or has not been for too long. Ends with the recorders.
    pub(crate) async fn run(
        self,
        client: Client,
        replica: Arc<str>,
        quiet_since: watch::Receiver<Option<Instant>>,
    ) {
        let inputs = (self.events, quiet_since);
        let events = futures::stream::unfold(inputs, async |(mut events, mut quiet_since)| {
            let next: NewEvent = events.recv().await?;
            // Events share the CPU of the API server with the writes of weights.
            let waited = Timestamp::now().duration_since(next.at()).unsigned_abs();
            let quiet = wait_quiet(&mut quiet_since);
            let _ = tokio::time::timeout(LONGEST_WAIT.saturating_sub(waited), quiet).await;
            Some((next, (events, quiet_since)))
        });
        let metrics = &self.metrics;
        events
            .for_each_concurrent(AT_ONCE, |event| publish(&client, &replica, event, metrics))
            .await;
    }
}

/// Waits until no write has been in flight for a while, or there is nobody who writes.
pub(crate) async fn wait_quiet(quiet_since: &mut watch::Receiver<Option<Instant>>) {
    while let Ok(Some(since)) = quiet_since.wait_for(Option::is_some).await.map(|since| *since) {
        let written = quiet_since.changed();
        match tokio::time::timeout_at((since + QUIET).into(), written).await {
            Ok(Ok(())) => {}
            Ok(Err(_)) | Err(_) => return,
        }
    }
}

/// One that is not published is counted, but where it would be in a namespace that is deleted.
async fn publish(client: &Client, replica: &str, event: NewEvent, metrics: &Metrics) {
    let object = event.regarding().key();
    let api: Api<Event> = Api::namespaced(client.clone(), &object.namespace);
    let (params, event) = (PostParams::default(), event.to_event(replica));
    match tokio::time::timeout(TIMEOUT, api.create(&params, &event)).await {
        Ok(Ok(_)) => {}
        Ok(Err(error)) if namespace_goes(&error) => {
            tracing::debug!(%object, error = brief(&error), "Event was not published");
        }
        Ok(Err(error)) => {
            metrics.events_dropped.inc();
            tracing::warn!(%object, error = brief(&error), "Event was not published");
        }
        Err(_) => {
            metrics.events_dropped.inc();
            tracing::warn!(%object, "Event was not published in time");
        }
    }
}

/// Whether the namespace is being deleted, or is not there any more.
fn namespace_goes(error: &kube::Error) -> bool {
    let kube::Error::Api(status) = error else { return false };
    let causes = status.details.iter().flat_map(|details| &details.causes);
    is_absent(error) || causes.into_iter().any(|cause| cause.reason == NAMESPACE_TERMINATING)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::events::{EventAction, EventReason, Regarding};
    use crate::kinds::ObjectKey;
    use futures::FutureExt;
    use http::{Request, Response};
    use kube::client::Body;
    use serde_json::{Value, json};

    /// How many of the Events are counted as dropped that an API server answers with this status.
    async fn dropped(code: u16, status: Value) -> bool {
        let api_server = tower::service_fn(move |_: Request<Body>| {
            let answer = Response::builder().status(code);
            let answer = answer.body(Body::from(status.to_string().into_bytes()));
            async move { answer.map_err(tower::BoxError::from) }
        });
        let metrics = Arc::new(Metrics::default());
        let (recorder, publisher) = Recorder::new(metrics.clone());
        let about = Regarding::deployment(ObjectKey::new("emojivoto", "linkerd-failover"));
        let (reason, action) = (EventReason::Failover, EventAction::Failover);
        recorder.publish(NewEvent::warning(about, reason, action, "moved"));
        drop(recorder);
        let (_writes, quiet) = watch::channel(Some(Instant::now()));
        publisher.run(Client::new(api_server, "default"), "replica".into(), quiet).await;
        metrics.encode().contains("linkerd_failover_events_dropped_total 1\n")
    }

    fn status(code: u16, reason: &str, cause: &str) -> Value {
        json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code, "reason": reason,
            "message": "x", "details": {"causes": [{"reason": cause, "message": "x"}]}})
    }

    #[tokio::test]
    async fn an_event_that_the_api_server_does_not_take_is_counted_as_dropped() {
        assert!(dropped(500, status(500, "InternalError", "")).await);
        assert!(dropped(403, status(403, "Forbidden", "")).await);
        let taken = json!({"kind": "Event", "apiVersion": "events.k8s.io/v1",
            "metadata": {"name": "x"}, "eventTime": null});
        assert!(!dropped(201, taken).await);
    }

    #[tokio::test]
    async fn an_event_in_a_namespace_that_is_deleted_is_not_counted() {
        assert!(!dropped(403, status(403, "Forbidden", NAMESPACE_TERMINATING)).await);
        assert!(!dropped(404, status(404, "NotFound", "")).await);
    }

    #[tokio::test]
    async fn events_wait_until_no_write_has_been_in_flight_for_a_while() {
        let long_ago = Instant::now().checked_sub(2 * QUIET);
        let (writes, mut quiet_since) = watch::channel(long_ago);
        // Timers that are due are seen in the second poll.
        let waited = async |quiet_since: &mut _| {
            let (quiet, turns) = (wait_quiet(quiet_since), async {
                for _ in 0..3 {
                    tokio::task::yield_now().await;
                }
            });
            tokio::select! { biased; () = quiet => true, () = turns => false }
        };
        assert!(waited(&mut quiet_since).await);
        writes.send_replace(None);
        assert!(!waited(&mut quiet_since).await, "a write is in flight");
        writes.send_replace(Some(Instant::now() + 60 * QUIET));
        assert!(!waited(&mut quiet_since).await, "one was a moment ago");
        drop(writes);
        assert!(wait_quiet(&mut quiet_since).now_or_never().is_some(), "nobody writes");
    }
}
