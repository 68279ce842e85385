//! Publishes Events while no write of weights is in flight.
//!
//! By hand because kube's `Recorder` joins Events by object and reason whatever their note, so a
//! second failover would have the note of the first.

use crate::events::NewEvent;
use crate::kinds::brief;
use crate::telemetry::Metrics;
use futures::StreamExt;
use jiff::Timestamp;
use k8s_openapi::api::events::v1::Event;
use kube::api::PostParams;
use kube::{Api, Client};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, watch};

/// Events that are queued: more are dropped, and counted.
const QUEUE: usize = 4096;

/// Requests in flight at once, so that one that hangs does not block the others.
const AT_ONCE: usize = 8;

/// How long an Event is deferred while writes are in flight, counted from when it happened.
const LONGEST_WAIT: Duration = Duration::from_secs(30);

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
pub(crate) struct Publisher(mpsc::Receiver<NewEvent>);

impl Recorder {
    /// A recorder, and its publisher.
    pub(crate) fn new(metrics: Arc<Metrics>) -> (Self, Publisher) {
        let (events, published) = mpsc::channel(QUEUE);
        (Self { events, metrics }, Publisher(published))
    }

    /// Queues an Event. A full queue drops it and counts that: no flip waits for Events.
    pub(crate) fn publish(&self, event: NewEvent) {
        if self.events.try_send(event).is_err() {
            self.metrics.events_dropped.inc();
        }
    }
}

impl Publisher {
    /// Publishes while `busy` is 0, or has not been for too long. Ends with the recorders.
    pub(crate) async fn run(self, client: Client, replica: Arc<str>, busy: watch::Receiver<usize>) {
        let events = futures::stream::unfold((self.0, busy), async |(mut events, mut busy)| {
            let next: NewEvent = events.recv().await?;
            // Events share the CPU of the API server with the writes of weights.
            let waited = Timestamp::now().duration_since(next.at()).unsigned_abs();
            let quiet = busy.wait_for(|busy| *busy == 0);
            let _ = tokio::time::timeout(LONGEST_WAIT.saturating_sub(waited), quiet).await;
            Some((next, (events, busy)))
        });
        events.for_each_concurrent(AT_ONCE, |event| publish(&client, &replica, event)).await;
    }
}

async fn publish(client: &Client, replica: &str, event: NewEvent) {
    let object = event.regarding().key();
    let api: Api<Event> = Api::namespaced(client.clone(), &object.namespace);
    let (params, event) = (PostParams::default(), event.to_event(replica));
    match tokio::time::timeout(TIMEOUT, api.create(&params, &event)).await {
        Ok(Ok(_)) => {}
        Ok(Err(error)) => {
            tracing::warn!(%object, error = brief(&error), "Event was not published");
        }
        Err(_) => tracing::warn!(%object, "Event was not published in time"),
    }
}
