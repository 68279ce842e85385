//! Consistent LISTs, past the watch cache, that confirm what the index has.

use crate::engine::SteadyTime;
use crate::informers::confirm::{ConfirmError, ConsistentReader};
use crate::kinds::{ObjectKey, ObjectRef};
use jiff::SignedDuration;
use std::collections::{BTreeSet, HashMap};
use std::time::Duration;
use tokio::task::JoinSet;

/// For how long the answer to a LIST counts; by then every write that waited for it has begun.
const VALID: SignedDuration = SignedDuration::from_secs(10);
/// One that takes longer is given up.
const TIMEOUT: Duration = Duration::from_secs(3);
const RETRY: Duration = Duration::from_millis(500);

/// Services whose slices have been, or are being, read past the watch.
#[derive(Default)]
pub(crate) struct Confirmations {
    tasks: JoinSet<Answer>,
    /// The objects that wait, by Service.
    asked: HashMap<ObjectKey, BTreeSet<ObjectRef>>,
    /// When the LIST began that the index has taken in, by the steady clock.
    done: HashMap<ObjectKey, SteadyTime>,
}

struct Answer {
    service: ObjectKey,
    began: SteadyTime,
    confirmed: Result<(), ConfirmError>,
}

impl Confirmations {
    /// Whether each of these Services has been read since something was wished for, at `since`.
    pub(crate) fn cover(&self, services: &[ObjectKey], since: SteadyTime, now: SteadyTime) -> bool {
        let counts = |began: &SteadyTime| *began >= since && began.duration_until(now) < VALID;
        services.iter().all(|service| self.done.get(service).is_some_and(counts))
    }

    /// Asks for what is not covered; one LIST serves all objects of a Service.
    pub(crate) fn ask(
        &mut self,
        object: &ObjectRef,
        services: &[ObjectKey],
        since: SteadyTime,
        reader: &ConsistentReader,
    ) {
        for service in services {
            if self.cover(std::slice::from_ref(service), since, reader.index.now().steady) {
                continue;
            }
            let waiting = self.asked.entry(service.clone()).or_default();
            let first = waiting.is_empty();
            waiting.insert(object.clone());
            if first {
                let (reader, service) = (reader.clone(), service.clone());
                let began = reader.index.now().steady;
                self.tasks.spawn(async move {
                    let confirmed = reader.confirm_within(TIMEOUT, &service).await;
                    Answer { service, began, confirmed }
                });
            }
        }
    }

    /// The objects that the next answer is for; with a time after which to try again where it
    /// failed. None while nothing is asked.
    pub(crate) async fn next(&mut self) -> Option<Vec<(ObjectRef, Option<Duration>)>> {
        let answer = match self.tasks.join_next().await? {
            Ok(answer) => answer,
            Err(error) => std::panic::resume_unwind(error.into_panic()),
        };
        let waiting = self.asked.remove(&answer.service).unwrap_or_default();
        let retry = match answer.confirmed {
            Ok(()) => {
                self.done.insert(answer.service, answer.began);
                None
            }
            Err(error) => {
                let error = error.to_string();
                tracing::warn!(service = %answer.service, error, "could not confirm the slices");
                Some(RETRY)
            }
        };
        Some(waiting.into_iter().map(|key| (key, retry)).collect())
    }

    /// Forgets what is not valid any more.
    pub(crate) fn prune(&mut self, now: SteadyTime) {
        self.done.retain(|_, began| began.duration_until(now) < VALID);
    }
}
