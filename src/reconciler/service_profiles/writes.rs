//! The writes of ServiceProfiles that are under way, beside those of weights, and retried on their own.
//!
//! Callers follow the profile alone: of a flip it is written first, and the split once it is answered. Where
//! a webhook of Linkerd delays it, and where the state of the split has to be recorded with the flip, both are
//! written at the same time.

use crate::client::request_times::RequestTimes;
use crate::index::change::Noticed;
use crate::index::order::Ticket;
use crate::index::profile_facts::ProfileFacts;
use crate::index::resource::WatchedResource;
use crate::index::store::Index;
use crate::kinds::{ObjectKey, ObjectRef};
use crate::reconciler::attempts::{FailureStreak, Retry};
use crate::reconciler::context::{Context, ReconcileRequest, Subject};
use crate::reconciler::flip_stages::WriteTimes;
use crate::reconciler::in_flight::{GiveUp, InFlight, WriteClients};
use crate::reconciler::lanes::{Lane, write_timeout};
use crate::reconciler::ordered_queue::{Cause, Urgency};
use crate::reconciler::reports;
use crate::reconciler::service_profiles::memory::{
    ProfileKey, ProfileMemories, ProfileMemory, ProfileProblem,
};
use crate::reconciler::service_profiles::plan::{
    self, NotOurs, ProfilePlan, ProfileSettings, SplitWithProfile,
};
use crate::reconciler::service_profiles::writer::{self, ProfileWriteOutcome};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The writes of profiles, by the split that each is for.
pub(crate) struct ProfileWrites {
    /// How profiles are written; none: they are left alone.
    settings: Option<Arc<ProfileSettings>>,
    clients: WriteClients,
    pub in_flight: InFlight<ProfileKey, FinishedProfileWrite>,
    pub memories: ProfileMemories,
}

/// A write of a profile that has begun.
pub(crate) struct ProfileAttempt {
    pub split: ObjectRef,
    pub key: ProfileKey,
    pub ticket: Ticket,
    pub noticed: Noticed,
    /// Its traffic moves.
    pub is_flip: bool,
}

/// What a write task returns.
pub(crate) struct FinishedProfileWrite {
    pub times: WriteTimes,
    pub attempt: ProfileAttempt,
    pub outcome: ProfileWriteOutcome,
}

impl FinishedProfileWrite {
    /// Whether traffic has moved with it, as far as the API server knows.
    pub(crate) fn has_moved_traffic(&self) -> bool {
        self.attempt.is_flip && matches!(self.outcome, ProfileWriteOutcome::Written(_))
    }
}

/// What a split's profile should have.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ProfileRequest<'a> {
    /// The weights that the split gets now; none: those that it has.
    pub decided: Option<&'a [u32]>,
    /// Whether the split is for this replica to write.
    pub ours: bool,
    pub urgency: Urgency,
}

/// What follows for the work queue.
#[derive(Debug, Default)]
pub(crate) struct FollowUp {
    /// When to look at the split again even if nothing changes.
    pub look_again: Option<Duration>,
    /// Other splits that are to be reconciled.
    pub enqueue: Vec<ObjectRef>,
}

impl ProfileWrites {
    pub(crate) fn new(
        settings: Option<Arc<ProfileSettings>>,
        clients: WriteClients,
        concurrency: usize,
    ) -> Self {
        Self {
            settings,
            clients,
            in_flight: InFlight::new(concurrency),
            memories: ProfileMemories::default(),
        }
    }

    /// Whether the profiles of splits are written at all.
    pub(crate) fn is_on(&self) -> bool {
        self.settings.is_some()
    }

    /// Whether a split's profile is being written, or waits for a place.
    pub(crate) fn is_writing(&self, split: &ObjectRef) -> bool {
        self.in_flight.contains(split) || self.in_flight.is_waiting(split)
    }

    /// Whether callers follow the profile of an object, and not the object itself.
    pub(crate) fn is_followed(&self, object: &ObjectRef) -> bool {
        self.is_on() && object.kind.needs_service_profile()
    }

    /// Whether it could not be written as it should be.
    pub(crate) fn has_failed(&self, split: &ObjectRef) -> bool {
        self.memories.get(split).is_some_and(|memory| memory.failed().is_some())
    }

    /// How urgent it is that a profile gets the live weights of its split: a write that failed may be what
    /// callers wait for.
    pub(crate) fn urgency_of_live_weights(&self, split: &ObjectRef) -> Urgency {
        if self.has_failed(split) { Urgency::Loss } else { Urgency::Change }
    }

    /// Makes sure that a managed split's profile has the weights that it should. Of a route: that no
    /// profile hides it.
    pub(crate) fn reconcile(
        &mut self,
        context: &Context,
        subject: &Subject<'_>,
        wanted: ProfileRequest<'_>,
    ) -> FollowUp {
        let settings = self.settings(subject.index).cloned();
        if !subject.object.kind.needs_service_profile() {
            let enqueue = match settings.is_some() && context.leads() {
                true => hiding(subject),
                false => vec![],
            };
            return FollowUp { enqueue, look_again: None };
        }
        let split = subject.object;
        let Some(settings) = settings.filter(|_| wanted.ours) else {
            self.replace(split);
            return FollowUp::default();
        };
        let weights = wanted.decided.map_or_else(|| live_weights(subject), <[u32]>::to_vec);
        let Subject { index, managed, noticed, .. } = *subject;
        let case = SplitWithProfile { index, split, managed, settings: &settings };
        match case.plan(&weights) {
            ProfilePlan::Nothing => {
                // The watch has shown what a slow write of these weights did: its answer is counted.
                if !self.is_writing_weights(split, &weights) {
                    self.replace(split);
                }
                self.mark_up_to_date(context, split, &weights);
                FollowUp::default()
            }
            ProfilePlan::NotOurs(why) => {
                self.replace(split);
                self.report_not_ours(context, subject, &why);
                FollowUp::default()
            }
            ProfilePlan::Write(write) => {
                let key = ProfileKey::from(&write);
                let retry = self.retry(split, &key);
                self.report_overwritten(context, Some(subject), split, &key, retry);
                let is_flip = wanted.decided.is_some() && wanted.urgency <= Urgency::Change;
                let ticket = index.profile_ticket(&key.profile);
                let attempt =
                    ProfileAttempt { split: split.clone(), key, ticket, noticed, is_flip };
                self.begin(attempt, wanted.urgency, retry, |client, timeout, times| async move {
                    writer::write(&client, &write, timeout, &times).await
                })
            }
        }
    }

    /// Restores the profile of a split that is not among the managed ones.
    pub(crate) fn restore(
        &mut self,
        context: &Context,
        request: &ReconcileRequest<'_>,
    ) -> FollowUp {
        let ReconcileRequest { index, object: split, noticed, .. } = *request;
        let orphan = self
            .settings(index)
            // What may not be read there is not gone.
            .filter(|_| context.leads() && !index.forbidden.has(split.namespace()))
            .and_then(|settings| Some((settings.clone(), plan::orphan(index, split, settings)?)));
        let Some((settings, (profile, facts))) = orphan else {
            self.memories.remove(split);
            return FollowUp::default();
        };
        let key = ProfileKey {
            profile: profile.clone(),
            resource_version: facts.resource_version.clone(),
            weights: None,
        };
        let retry = self.retry(split, &key);
        // That the cluster has no such kind any more is known from discovery.
        let version = index.served(split.kind);
        let (split_ref, profile): (_, ObjectKey) = (split.clone(), profile.clone());
        let facts: ProfileFacts = facts.clone();
        let ticket = index.profile_ticket(&key.profile);
        let attempt = ProfileAttempt { split: split.clone(), key, ticket, noticed, is_flip: false };
        self.begin(attempt, Urgency::Record, retry, |client, timeout, _| async move {
            let (split, profile, facts) = (&split_ref, &profile, &facts);
            writer::restore(&client, split, version, profile, facts, &settings, timeout).await
        })
    }

    /// How profiles are written, where they may be written now: their facts are complete, and no person
    /// has frozen the cluster.
    fn settings(&self, index: &Index) -> Option<&Arc<ProfileSettings>> {
        let may = index.synced.has(WatchedResource::ServiceProfiles)
            && !index.no_profiles
            && !index.cluster_wide.frozen;
        self.settings.as_ref().filter(|_| may)
    }

    /// Whether these weights are under way to a split's profile.
    fn is_writing_weights(&self, split: &ObjectRef, weights: &[u32]) -> bool {
        let attempt = self.in_flight.attempt(split);
        attempt.is_some_and(|attempt| attempt.weights.as_deref() == Some(weights))
    }

    /// What is under way for a split, and slow, is not wanted any more.
    fn replace(&mut self, split: &ObjectRef) {
        if self.in_flight.is_slow(split) {
            self.in_flight.give_up(split, GiveUp::Replaced);
        }
    }

    /// The profile is as it should be.
    fn mark_up_to_date(&mut self, context: &Context, split: &ObjectRef, weights: &[u32]) {
        if self.in_flight.contains(split) {
            return;
        }
        let memory = self.memories.get_mut(split);
        if let Some(noticed) = memory.and_then(|memory| memory.mark_up_to_date(weights)) {
            context.metrics.profiles.wrote(noticed.elapsed());
        }
    }

    fn report_not_ours(&mut self, context: &Context, subject: &Subject<'_>, why: &NotOurs) {
        let (split, memory) = (subject.object, self.memories.entry(subject.object));
        memory.clear_failure();
        if context.leads() && memory.problem.begins(ProfileProblem::NotOurs(why.clone())) {
            tracing::warn!(%split, "{why}");
            let event = reports::profile_left(split, subject.index, subject.managed, why);
            context.recorder.publish(event);
        }
    }

    /// When an attempt may be made: after the backoff of a failed one, and not at once where another writer
    /// overwrites ours.
    fn retry(&self, split: &ObjectRef, key: &ProfileKey) -> Retry {
        let memory = self.memories.get(split);
        let overwrites = memory.and_then(ProfileMemory::overwrites);
        let overwrites = overwrites.filter(|_| key.weights.is_some());
        let weights = key.weights.as_deref().unwrap_or_default();
        let failed = memory.and_then(ProfileMemory::failed);
        Retry::of(key, weights, failed, overwrites, Instant::now())
    }

    fn report_overwritten(
        &mut self,
        context: &Context,
        subject: Option<&Subject<'_>>,
        split: &ObjectRef,
        key: &ProfileKey,
        retry: Retry,
    ) {
        let Some(times) = retry.overwritten.filter(|times| *times > 1) else { return };
        if !self.memories.entry(split).problem.begins(ProfileProblem::Overwritten(times)) {
            return;
        }
        context.metrics.profiles.undone.inc();
        let profile = &key.profile;
        tracing::warn!(%split, %profile, times, next = ?retry.wait, "a ServiceProfile is being undone");
        if let Some(Subject { index, managed, .. }) = subject {
            let event = reports::profile_undone(split, index, managed, &profile.name, times);
            context.recorder.publish(event);
        }
    }

    /// Begins a write unless it has to wait: for a retry, for the end of another, or for a place.
    fn begin<F: Future<Output = ProfileWriteOutcome> + Send + 'static>(
        &mut self,
        attempt: ProfileAttempt,
        urgency: Urgency,
        retry: Retry,
        write: impl FnOnce(kube::Client, Duration, RequestTimes) -> F,
    ) -> FollowUp {
        if !retry.wait.is_zero() {
            return FollowUp { look_again: Some(retry.wait), enqueue: vec![] };
        }
        let ProfileAttempt { split, key, noticed, .. } = &attempt;
        let streak = self.streak(split);
        let cause = Cause { urgency, noticed: *noticed };
        let Some(lane) = self.place(split, key, streak, cause) else {
            return FollowUp::default();
        };
        let timeout = write_timeout(streak.map_or(0, |streak| streak.unanswered));
        let (begun, times) = (Instant::now(), RequestTimes::default());
        let write = write(self.clients.of(lane).clone(), timeout, times.clone());
        let (split, key) = (split.clone(), key.clone());
        self.in_flight.begin(&split, lane, urgency, key, write, move |outcome| {
            let times = WriteTimes::answered(attempt.noticed, begun, times);
            FinishedProfileWrite { times, attempt, outcome }
        });
        FollowUp::default()
    }

    /// The lane in which a write may begin now. None where another write of the split has to end first,
    /// or where its lane is full and it waits for a place.
    fn place(
        &mut self,
        split: &ObjectRef,
        key: &ProfileKey,
        streak: Option<FailureStreak>,
        cause: Cause,
    ) -> Option<Lane> {
        if self.in_flight.contains(split) {
            self.in_flight.mark_dirty(split.clone(), cause);
            if !self.in_flight.is_writing(split, key) {
                self.replace(split);
            }
            return None;
        }
        let lane = streak.map_or(Lane::Fast, |streak| streak.lane());
        self.in_flight.has_place(split, lane, cause).then_some(lane)
    }

    fn streak(&self, split: &ObjectRef) -> Option<FailureStreak> {
        Some(self.memories.get(split)?.failed()?.streak())
    }
}

fn live_weights(subject: &Subject<'_>) -> Vec<u32> {
    let set = subject.managed.readable().first();
    set.map(|set| set.intent.backends.iter().map(|b| b.live).collect()).unwrap_or_default()
}

/// The younger splits on a route's apexes whose profiles hide the route: they are to be reconciled.
fn hiding(route: &Subject<'_>) -> Vec<ObjectRef> {
    let Subject { index, object, managed, .. } = *route;
    let hides = |apex: &String| {
        let split = index.first_split_on(&object.beside(apex))?;
        let managed_split = index.object(split)?;
        let is_written = index.profiles_written_for(split).next().is_some();
        let is_younger = (managed.created, object) < (managed_split.created, split);
        (is_written && is_younger).then(|| split.clone())
    };
    managed.apexes().iter().filter_map(hides).collect()
}
