//! The writes of weights that are under way, and how one begins.

use crate::client::request_times::RequestTimes;
use crate::index::order::Ticket;
use crate::kinds::ObjectRef;
use crate::reconciler::attempts::{Attempt, FailureStreak, WriteKey};
use crate::reconciler::flip_stages::WriteTimes;
use crate::reconciler::in_flight::{InFlight, WriteClients};
use crate::reconciler::lanes::{Lane, write_timeout};
use crate::reconciler::ordered_queue::{Cause, Urgency};
use crate::reconciler::write::Write;
use crate::reconciler::writer::{self, WriteOutcome};
use std::time::Instant;

/// The writes of weights, one an object.
pub(crate) type WritesInFlight = InFlight<WriteKey, FinishedWrite>;

/// The writes of weights that are under way, and the connections that they go by.
pub(crate) struct Writes {
    pub in_flight: WritesInFlight,
    clients: WriteClients,
}

/// What a write task returns.
pub(crate) struct FinishedWrite {
    pub times: WriteTimes,
    pub attempt: Attempt,
    pub ticket: Ticket,
    pub outcome: WriteOutcome,
}

impl Writes {
    pub(crate) fn new(clients: WriteClients, concurrency: usize) -> Self {
        Self { in_flight: InFlight::new(concurrency), clients }
    }

    /// Whether this very write is under way.
    pub(crate) fn is_writing(&self, write: &Write) -> bool {
        self.in_flight.is_writing(&write.object, &WriteKey::from(write))
    }

    /// The lane in which a write may begin now. None where another write of the object has to end first,
    /// or where its lane is full and it waits for a place.
    pub(crate) fn place(
        &mut self,
        write: &Write,
        streak: Option<FailureStreak>,
        cause: Cause,
    ) -> Option<Lane> {
        let object: &ObjectRef = &write.object;
        if self.in_flight.contains(object) {
            if self.is_writing(write) {
                self.in_flight.keep(object);
            }
            return None;
        }
        let lane = streak.map_or(Lane::Fast, |streak| streak.lane());
        self.in_flight.has_place(object, lane, cause).then_some(lane)
    }

    /// Begins a write in its place.
    pub(crate) fn begin(
        &mut self,
        lane: Lane,
        urgency: Urgency,
        attempt: Attempt,
        ticket: Ticket,
        streak: Option<FailureStreak>,
    ) {
        let (object, key) = (attempt.write.object.clone(), WriteKey::from(&*attempt.write));
        let timeout = write_timeout(streak.map_or(0, |streak| streak.unanswered));
        let reads_again = streak.is_some_and(|streak| streak.reads_again());
        let (client, write) = (self.clients.of(lane).clone(), attempt.write.clone());
        let (begun, times) = (Instant::now(), RequestTimes::default());
        let request = times.clone();
        let write =
            async move { writer::write(&client, &write, timeout, reads_again, &times).await };
        self.in_flight.begin(&object, lane, urgency, key, write, move |outcome| {
            let times = WriteTimes::answered(attempt.noticed, begun, request);
            FinishedWrite { times, attempt, ticket, outcome }
        });
    }
}
