//! The writes that are under way, at most one an object, and the tasks that make them.

use crate::index::change::Noticed;
use crate::kinds::ObjectRef;
use crate::reconciler::lanes::{Lane, Lanes};
use crate::reconciler::ordered_queue::{Cause, OrderedQueue, Urgency};
use kube::Client;
use std::collections::HashMap;
use std::time::Instant;
use tokio::sync::oneshot;
use tokio::task::JoinSet;

/// Connections to the API server for writes. One carries a hundred at once: writes that hang
/// have a connection of their own.
#[derive(Clone)]
pub(crate) struct WriteClients {
    pub fast: Client,
    pub slow: Client,
}

impl WriteClients {
    pub(crate) fn of(&self, lane: Lane) -> &Client {
        match lane {
            Lane::Fast => &self.fast,
            Lane::Refused | Lane::Hung => &self.slow,
        }
    }
}

/// Why a write that is under way is given up. The API server then gives it up too, unless it is just
/// about to land.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum GiveUp {
    /// The newest decision does not want it.
    Replaced,
    /// Too many have no answer.
    Crowded,
}

/// The writes that are under way; `A` identifies an attempt, `F` is what a task returns.
pub(crate) struct InFlight<A, F> {
    tasks: JoinSet<F>,
    lanes: Lanes,
    writes: HashMap<ObjectRef, UnderWay<A>>,
    /// Objects that were enqueued while their write was under way, and why.
    dirty: HashMap<ObjectRef, Cause>,
    /// When one that is no record began last.
    last_change: Option<Instant>,
}

struct UnderWay<A> {
    attempt: A,
    /// By the newest decision.
    wanted: bool,
    give_up: Option<oneshot::Sender<GiveUp>>,
}

impl<A: PartialEq, F: Send + 'static> InFlight<A, F> {
    /// With this many fast places.
    pub(crate) fn new(concurrency: usize) -> Self {
        Self {
            tasks: JoinSet::new(),
            lanes: Lanes::new(concurrency),
            writes: HashMap::new(),
            dirty: HashMap::new(),
            last_change: None,
        }
    }

    /// When a write that is no record began last.
    pub(crate) fn last_change(&self) -> Option<Instant> {
        self.last_change
    }

    pub(crate) fn contains(&self, object: &ObjectRef) -> bool {
        self.writes.contains_key(object)
    }

    /// Whether this very write is under way.
    pub(crate) fn is_writing(&self, object: &ObjectRef, attempt: &A) -> bool {
        self.attempt(object) == Some(attempt)
    }

    /// What is under way for an object.
    pub(crate) fn attempt(&self, object: &ObjectRef) -> Option<&A> {
        self.writes.get(object).map(|write| &write.attempt)
    }

    /// Whether its write is under way and about to be answered. A newer decision does not wait for a
    /// write that is slow.
    pub(crate) fn blocks(&self, object: &ObjectRef) -> bool {
        self.contains(object) && !self.lanes.is_slow(object)
    }

    pub(crate) fn is_slow(&self, object: &ObjectRef) -> bool {
        self.lanes.is_slow(object)
    }

    /// Whether its write waits for a place in a lane.
    pub(crate) fn is_waiting(&self, object: &ObjectRef) -> bool {
        self.lanes.is_waiting(object)
    }

    /// The objects that wait for a place in a lane, line by line.
    pub(crate) fn waiting(&self) -> &[OrderedQueue] {
        self.lanes.waiting()
    }

    /// The object is reconciled once more when its write has ended, or is slow.
    pub(crate) fn mark_dirty(&mut self, object: ObjectRef, cause: Cause) {
        let first = self.dirty.entry(object).or_insert(cause);
        if cause.urgency < first.urgency {
            *first = cause;
        }
    }

    /// A new decision begins: its write goes on only if that wants it.
    pub(crate) fn mark_unwanted(&mut self, object: &ObjectRef) {
        if let Some(write) = self.writes.get_mut(object) {
            write.wanted = false;
        }
    }

    /// The newest decision wants what is under way.
    pub(crate) fn keep(&mut self, object: &ObjectRef) {
        if let Some(write) = self.writes.get_mut(object) {
            write.wanted = true;
        }
    }

    /// Gives up what the newest decision does not want.
    pub(crate) fn give_up_unwanted(&mut self, object: &ObjectRef) {
        if self.writes.get(object).is_some_and(|write| !write.wanted) {
            self.give_up(object, GiveUp::Replaced);
        }
    }

    pub(crate) fn give_up(&mut self, object: &ObjectRef, why: GiveUp) {
        let write = self.writes.get_mut(object);
        if let Some(give_up) = write.and_then(|write| write.give_up.take()) {
            // It may have ended just now.
            let _ = give_up.send(why);
        }
    }

    /// Whether a write may begin in a lane now; if not, its object waits for a place.
    pub(crate) fn has_place(&mut self, object: &ObjectRef, lane: Lane, cause: Cause) -> bool {
        let has_room = self.lanes.has_room(lane, cause.urgency);
        if !has_room {
            self.lanes.wait(object, lane, cause);
        }
        has_room
    }

    /// Whether the fast lane has room for another write that is so urgent.
    pub(crate) fn has_room(&self, urgency: Urgency) -> bool {
        self.lanes.has_room(Lane::Fast, urgency)
    }

    /// The API server asks for fewer requests until then.
    pub(crate) fn throttle(&mut self, until: Instant) {
        self.lanes.throttle(until);
    }

    /// Begins a write; `finished` makes what the task returns from its outcome.
    pub(crate) fn begin<O: From<GiveUp> + Send + 'static>(
        &mut self,
        object: &ObjectRef,
        lane: Lane,
        urgency: Urgency,
        attempt: A,
        write: impl Future<Output = O> + Send + 'static,
        finished: impl FnOnce(O) -> F + Send + 'static,
    ) {
        let now = Instant::now();
        if urgency != Urgency::Record {
            self.last_change = Some(now);
        }
        self.lanes.begin(object, lane, urgency, now);
        let (give_up, given_up) = oneshot::channel();
        let under_way = UnderWay { attempt, wanted: true, give_up: Some(give_up) };
        self.writes.insert(object.clone(), under_way);
        self.tasks.spawn(async move {
            let outcome = tokio::select! {
                biased;
                outcome = write => outcome,
                Ok(why) = given_up => O::from(why),
            };
            finished(outcome)
        });
    }

    /// The next write that has ended; none while no write is under way.
    pub(crate) async fn next(&mut self) -> Option<F> {
        match self.tasks.join_next().await? {
            Ok(finished) => Some(finished),
            // A task that panics is a defect. A process that does not know what it has in flight is
            // worse than one that is restarted.
            Err(error) => std::panic::resume_unwind(error.into_panic()),
        }
    }

    /// A write has ended. Returns why its object was enqueued meanwhile, if it was.
    pub(crate) fn end(&mut self, object: &ObjectRef, answered: bool) -> Option<Cause> {
        self.lanes.end(object, answered.then(Instant::now));
        self.writes.remove(object);
        self.dirty.remove(object)
    }

    /// The next object that has waited for a place in a lane.
    pub(crate) fn take_next(&mut self) -> Option<(ObjectRef, Noticed)> {
        self.lanes.take_next()
    }

    /// Drops the objects that wait for a place.
    pub(crate) fn forget_waiting(&mut self) {
        self.lanes.forget_waiting();
    }

    /// When [`Self::advance`] has something to do.
    pub(crate) fn due(&self) -> Option<Instant> {
        self.lanes.due()
    }

    /// Advances to `now`. Returns the objects that were enqueued while their write became slow, and why:
    /// they need not wait for it any longer.
    pub(crate) fn advance(&mut self, now: Instant) -> Vec<(ObjectRef, Cause)> {
        let advance = self.lanes.advance(now);
        for object in &advance.given_up {
            self.give_up(object, GiveUp::Crowded);
        }
        advance.slow.iter().filter_map(|object| self.dirty.remove_entry(object)).collect()
    }

    /// How many writes are under way.
    pub(crate) fn len(&self) -> usize {
        self.lanes.len()
    }

    /// How many of them are slow.
    pub(crate) fn slow(&self) -> usize {
        self.lanes.slow()
    }

    /// How many are in a fast place: others keep out of their way.
    pub(crate) fn fast(&self) -> usize {
        self.lanes.fast()
    }
}
