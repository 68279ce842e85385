//! Publishes Events while no write of weights is in flight, nor was a moment ago.
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
    /// How many are queued.
    #[cfg(test)]
    pub(crate) fn queued(&self) -> usize {
        self.0.len()
    }

    /// Publishes while it is quiet, or has not been for too long. Ends with the recorders.
    pub(crate) async fn run(
        self,
        client: Client,
        replica: Arc<str>,
        quiet_since: watch::Receiver<Option<Instant>>,
    ) {
        let inputs = (self.0, quiet_since);
        let events = futures::stream::unfold(inputs, async |(mut events, mut quiet_since)| {
            let next: NewEvent = events.recv().await?;
            // Events share the CPU of the API server with the writes of weights.
            let waited = Timestamp::now().duration_since(next.at()).unsigned_abs();
            let quiet = wait_quiet(&mut quiet_since);
            let _ = tokio::time::timeout(LONGEST_WAIT.saturating_sub(waited), quiet).await;
            Some((next, (events, quiet_since)))
        });
        events.for_each_concurrent(AT_ONCE, |event| publish(&client, &replica, event)).await;
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

#[cfg(test)]
mod tests {
    use super::*;
    use futures::FutureExt;

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
