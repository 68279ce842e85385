//! The queue: one write in flight per object, a bounded number at once, the newest decision wins.

use super::events::Said;
use super::plan::{self, Write};
use super::writer::{self, Outcome};
use crate::cluster::{Changes, Managed, Shared};
use crate::resources::{ObjectKey, traffic_split};
use crate::telemetry::Metrics;
use futures::StreamExt;
use jiff::Timestamp;
use kube::Client;
use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tokio_util::time::DelayQueue;

/// Writes at once. The API server's CPU is the limit of a fan-out; more only queue there.
const CONCURRENCY: usize = 32;

const FIRST_RETRY: Duration = Duration::from_millis(50);
const LAST_RETRY: Duration = Duration::from_secs(5);

/// Writes what is decided, while this replica leads and the caches are whole.
pub struct Controller {
    pub client: Client,
    pub shared: Shared,
    pub leading: watch::Receiver<bool>,
    pub replica: Arc<str>,
    pub metrics: Arc<Metrics>,
    /// Events, to be published off the hot path.
    pub say: mpsc::Sender<Said>,
    /// How many writes are under way, for those that keep out of their way.
    pub busy: watch::Sender<usize>,
}

/// What a write task hands back.
struct Done {
    write: Write,
    outcome: Outcome,
}

#[derive(Default)]
struct Queue {
    /// Objects to decide, in order, with the moment they were first noticed.
    waiting: VecDeque<(ObjectKey, Instant)>,
    queued: HashSet<ObjectKey>,
    /// Objects with a write under way, with the moment they were first noticed.
    in_flight: HashMap<ObjectKey, Instant>,
    /// Objects noticed again while their write was under way.
    again: HashSet<ObjectKey>,
    failures: HashMap<ObjectKey, u32>,
    retries: DelayQueue<ObjectKey>,
    writes: JoinSet<Done>,
    /// What was said of objects that cannot be read, so that it is said once.
    unreadable: HashMap<ObjectKey, String>,
}

impl Queue {
    fn notice(&mut self, key: ObjectKey, at: Instant) {
        if self.in_flight.contains_key(&key) {
            self.again.insert(key);
        } else if self.queued.insert(key.clone()) {
            self.waiting.push_back((key, at));
        }
    }
}

impl Controller {
    /// Runs until `stop`, then lets the writes under way end.
    pub async fn run(mut self, mut changes: Changes, stop: CancellationToken) {
        let mut queue = Queue::default();
        loop {
            tokio::select! {
                Some(keys) = changes.recv() => {
                    let now = Instant::now();
                    for key in keys {
                        queue.notice(key, now);
                    }
                }
                Some(done) = queue.writes.join_next() => match done {
                    Ok(done) => self.finish(&mut queue, done),
                    // A task of ours that panicked is a defect; a process that goes on without
                    // knowing what it has in flight would be worse than one that is restarted.
                    Err(error) => std::panic::resume_unwind(error.into_panic()),
                },
                Some(due) = queue.retries.next() => queue.notice(due.into_inner(), Instant::now()),
                Ok(()) = self.leading.changed() => {
                    let now = Instant::now();
                    let keys = self.shared.read().object_keys();
                    for key in keys {
                        queue.notice(key, now);
                    }
                }
                () = stop.cancelled() => break,
            }
            self.dispatch(&mut queue);
        }
        while let Some(done) = queue.writes.join_next().await {
            if let Ok(done) = done {
                self.finish(&mut queue, done);
            }
        }
    }

    /// Starts as many writes as may run.
    fn dispatch(&self, queue: &mut Queue) {
        let index = self.shared.read();
        self.metrics.synced.set(i64::from(index.synced.all()));
        self.metrics.managed.set(index.objects().len() as i64);
        // What is dropped here is noticed again: a LIST that completes and a change of the leader
        // bring every object back.
        if !*self.leading.borrow() || !index.synced.all() {
            queue.waiting.clear();
            queue.queued.clear();
            return;
        }
        while queue.in_flight.len() < CONCURRENCY {
            let Some((key, noticed)) = queue.waiting.pop_front() else { break };
            queue.queued.remove(&key);
            self.mention_unreadable(queue, &key, index.object(&key));
            let Some(write) = plan::plan(&index, &key, &self.replica, Timestamp::now()) else {
                queue.failures.remove(&key);
                continue;
            };
            queue.in_flight.insert(key, noticed);
            let client = self.client.clone();
            queue.writes.spawn(async move {
                let outcome = writer::write(&client, &write).await;
                Done { write, outcome }
            });
        }
        self.count_in_flight(queue);
    }

    fn finish(&self, queue: &mut Queue, Done { write, outcome }: Done) {
        let key = write.key.clone();
        let noticed = queue.in_flight.remove(&key);
        self.count_in_flight(queue);
        let again = queue.again.remove(&key);
        let retry_in = match outcome {
            Outcome::Written(object) => {
                queue.failures.remove(&key);
                self.metrics.wrote(noticed.map(|at| at.elapsed()).unwrap_or_default());
                self.written(&write);
                // The watch will say the same later; until then the next decision must not be
                // made from the old weights.
                let managed = Managed::new(&traffic_split::read(&object), &object.metadata);
                self.shared.update(|index| index.set_object(key.clone(), managed));
                None
            }
            Outcome::Conflict => {
                self.metrics.write_failed("conflict");
                Some(self.backoff(queue, &key))
            }
            Outcome::Gone => {
                self.metrics.write_failed("gone");
                queue.failures.remove(&key);
                None
            }
            Outcome::Failed(error) => {
                self.metrics.write_failed("failed");
                let wait = self.backoff(queue, &key);
                tracing::warn!(object = %key, %error, retry_in = ?wait, "weights were not written");
                if queue.failures.get(&key) == Some(&1) {
                    self.say(Said::refused(&write, &error));
                }
                Some(wait)
            }
        };
        if again {
            queue.notice(key, Instant::now());
        } else if let Some(wait) = retry_in {
            queue.retries.insert(key, wait);
        }
    }

    fn written(&self, write: &Write) {
        match &write.flip {
            Some(flip) => {
                self.metrics.flipped(flip.on_primary);
                tracing::info!(object = %write.key, "{}", flip.note);
                self.say(Said::flipped(write, flip));
            }
            None => tracing::info!(object = %write.key, "weights put right"),
        }
    }

    /// Doubles from the first retry to the last, with jitter so that a thousand objects that fail
    /// together do not come back together.
    fn backoff(&self, queue: &mut Queue, key: &ObjectKey) -> Duration {
        let failures = queue.failures.entry(key.clone()).or_default();
        *failures = failures.saturating_add(1);
        let wait = FIRST_RETRY.saturating_mul(1 << (*failures - 1).min(10)).min(LAST_RETRY);
        wait.mul_f64(0.5 + fastrand::f64() / 2.0)
    }

    fn mention_unreadable(&self, queue: &mut Queue, key: &ObjectKey, managed: Option<&Managed>) {
        let problems = managed.and_then(|managed| managed.intent.as_ref().err());
        match (managed, problems) {
            (Some(managed), Some(problems)) => {
                let causes: Vec<String> = problems.iter().map(ToString::to_string).collect();
                let causes = causes.join("; ");
                if queue.unreadable.get(key) != Some(&causes) {
                    tracing::warn!(object = %key, %causes, "cannot be read, left as it is");
                    self.say(Said::unreadable(key, managed, &causes));
                    queue.unreadable.insert(key.clone(), causes);
                }
            }
            _ => {
                queue.unreadable.remove(key);
            }
        }
        self.metrics.unreadable.set(queue.unreadable.len() as i64);
    }

    fn say(&self, said: Said) {
        // Events never hold up a flip: where too many wait, one is lost and counted.
        if self.say.try_send(said).is_err() {
            self.metrics.events_dropped.inc();
        }
    }

    fn count_in_flight(&self, queue: &Queue) {
        let count = queue.in_flight.len();
        self.metrics.in_flight.set(count as i64);
        self.busy.send_if_modified(|busy| std::mem::replace(busy, count) != count);
    }
}
