//! How writes of ServiceProfiles end, and what is remembered and reported of it.

use crate::index::order::Arrival;
use crate::index::profile_facts::ProfileFacts;
use crate::kinds::ObjectRef;
use crate::reconciler::attempts::{FailedAttempt, WriteFailure};
use crate::reconciler::context::Context;
use crate::reconciler::ordered_queue::{Cause, Urgency};
use crate::reconciler::reports;
use crate::reconciler::service_profiles::memory::{ProfileKey, ProfileProblem};
use crate::reconciler::service_profiles::writer::ProfileWriteOutcome;
use crate::reconciler::service_profiles::writes::{
    FinishedProfileWrite, ProfileAttempt, ProfileWrites,
};
use crate::telemetry::WriteResult;
use kube::core::DynamicObject;
use std::time::{Duration, Instant};

/// What follows for the split whose profile was written.
#[derive(Debug)]
pub(crate) struct ProfileFollowUp {
    pub split: ObjectRef,
    /// Why it is to be enqueued: it was meanwhile, or its write was given up for a newer decision.
    pub enqueue: Option<Cause>,
    /// When the next attempt is due.
    pub retry_after: Option<Duration>,
    /// How long the API server asks to wait.
    pub throttled: Option<Duration>,
}

const CONFLICT: &str = "409 Conflict, again and again: others write it all the time, or this replica's watch is behind";

impl ProfileWrites {
    /// Observes how a write ended.
    pub(crate) fn finish(
        &mut self,
        context: &Context,
        finished: FinishedProfileWrite,
    ) -> ProfileFollowUp {
        let has_moved_traffic = finished.has_moved_traffic();
        let FinishedProfileWrite { times, attempt, outcome } = finished;
        if has_moved_traffic {
            times.observe(&context.metrics);
        }
        if self.memories.get(&attempt.split).is_some_and(|memory| memory.failed().is_some()) {
            context.metrics.retries.inc();
        }
        let dirty = self.in_flight.end(&attempt.split, outcome.is_answered());
        let is_replaced = matches!(outcome, ProfileWriteOutcome::Replaced);
        let enqueue = dirty.or(is_replaced.then(|| Cause::now(Urgency::Loss)));
        let throttled = match &outcome {
            ProfileWriteOutcome::Refused(error) => WriteFailure::of(error).pause(),
            _ => None,
        };
        let retry_after = self.observe_outcome(context, &attempt, outcome);
        ProfileFollowUp { split: attempt.split, enqueue, retry_after, throttled }
    }

    /// Observes an outcome. Returns when the next attempt is due.
    fn observe_outcome(
        &mut self,
        context: &Context,
        attempt: &ProfileAttempt,
        outcome: ProfileWriteOutcome,
    ) -> Option<Duration> {
        match outcome {
            ProfileWriteOutcome::Written(profile) => {
                self.observe_written(context, attempt, &profile);
                None
            }
            ProfileWriteOutcome::Deleted if attempt.key.weights.is_none() => {
                report_restored(context, attempt);
                self.observe_absent(context, attempt);
                None
            }
            ProfileWriteOutcome::Deleted | ProfileWriteOutcome::Gone => {
                context.metrics.profiles.count(WriteResult::Gone);
                self.observe_absent(context, attempt);
                None
            }
            ProfileWriteOutcome::Replaced => {
                context.metrics.profiles.count(WriteResult::Replaced);
                None
            }
            // The watch delivers that too.
            ProfileWriteOutcome::StillManaged => {
                Some(self.remember_failure(attempt, WriteFailure::Conflict))
            }
            ProfileWriteOutcome::Conflict => {
                Some(self.observe_failure(context, attempt, WriteFailure::Conflict, CONFLICT))
            }
            ProfileWriteOutcome::Refused(error) => {
                let (failure, error) = (WriteFailure::of(&error), error.to_string());
                Some(self.observe_failure(context, attempt, failure, &error))
            }
            ProfileWriteOutcome::Unanswered(error) => {
                let error = error.to_string();
                Some(self.observe_failure(context, attempt, WriteFailure::Unanswered, &error))
            }
        }
    }

    fn observe_written(
        &mut self,
        context: &Context,
        attempt: &ProfileAttempt,
        profile: &DynamicObject,
    ) {
        self.observe_landed(context, attempt);
        let (key, arrival) = (attempt.key.profile.clone(), Arrival::Answered(&attempt.ticket));
        let facts = ProfileFacts::read(profile);
        context.shared.update(|index| index.enter_profile(key, facts, arrival));
    }

    /// The profile is not there. Where somebody else has removed it in the middle of our write, that is
    /// an overwrite like others.
    fn observe_absent(&mut self, context: &Context, attempt: &ProfileAttempt) {
        self.memories.entry(&attempt.split).clear_failure();
        let ProfileKey { profile, resource_version, .. } = &attempt.key;
        let ticket = &attempt.ticket;
        context
            .shared
            .update(|index| index.remove_absent_profile(profile, resource_version, ticket));
    }

    fn observe_landed(&mut self, context: &Context, attempt: &ProfileAttempt) {
        let (split, profile) = (&attempt.split, &attempt.key.profile);
        let memory = self.memories.entry(split);
        memory.clear_failure();
        match &attempt.key.weights {
            None => report_restored(context, attempt),
            Some(weights) => {
                memory.observe_landed(weights, Instant::now());
                context.metrics.profiles.wrote(attempt.noticed.elapsed());
                tracing::debug!(%split, %profile, ?weights, "ServiceProfile written");
            }
        }
    }

    /// Remembers a failed attempt, and reports it where that is due. Returns how long to wait before the
    /// next one.
    fn observe_failure(
        &mut self,
        context: &Context,
        attempt: &ProfileAttempt,
        failure: WriteFailure,
        error: &str,
    ) -> Duration {
        context.metrics.profiles.count(failure.result());
        if failure == WriteFailure::Conflict {
            context.metrics.conflicts.inc();
        }
        let wait = self.remember_failure(attempt, failure);
        let (split, profile) = (&attempt.split, &attempt.key.profile);
        let memory = self.memories.entry(split);
        let is_reported = |failed: &FailedAttempt<_>| failed.streak().is_reported(Instant::now());
        if memory.failed().is_some_and(is_reported) {
            tracing::warn!(%split, %profile, %error, retry_in = ?wait, "a ServiceProfile was not written");
            if memory.problem.begins(ProfileProblem::Refused) {
                publish_refused(context, split, &profile.name, error);
            }
        }
        wait
    }

    fn remember_failure(&mut self, attempt: &ProfileAttempt, failure: WriteFailure) -> Duration {
        let memory = self.memories.entry(&attempt.split);
        memory.observe_failure(attempt.key.clone(), failure, attempt.noticed)
    }
}

fn publish_refused(context: &Context, split: &ObjectRef, profile: &str, error: &str) {
    let index = context.shared.read();
    if let Some(managed) = index.object(split) {
        let event = reports::profile_refused(split, &index, managed, profile, error);
        context.recorder.publish(event);
    }
}

fn report_restored(context: &Context, attempt: &ProfileAttempt) {
    let (split, profile) = (&attempt.split, &attempt.key.profile);
    context.metrics.profiles.count(WriteResult::Restored);
    tracing::info!(%split, %profile, "ServiceProfile given back");
}
