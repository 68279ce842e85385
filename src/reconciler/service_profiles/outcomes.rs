//! How writes of ServiceProfiles end, and what is remembered and reported of it.

use crate::index::order::Arrival;
use crate::index::profile_facts::ProfileFacts;
use crate::kinds::{ObjectKey, ObjectRef};
use crate::reconciler::attempts::{FailedAttempt, WriteFailure};
use crate::reconciler::context::Context;
use crate::reconciler::reports;
use crate::reconciler::service_profiles::memory::{ProfileKey, ProfileProblem};
use crate::reconciler::service_profiles::writer::ProfileWriteOutcome;
use crate::reconciler::service_profiles::writes::{FinishedProfileWrite, ProfileWrites};
use crate::telemetry::WriteResult;
use std::time::{Duration, Instant};

/// What follows for the split whose profile was written.
#[derive(Debug)]
pub(crate) struct ProfileFollowUp {
    pub split: ObjectRef,
    /// It was enqueued meanwhile, or its write was given up for a newer decision.
    pub enqueue: bool,
    /// When the next attempt is due.
    pub retry_after: Option<Duration>,
}

const CONFLICT: &str = "409 Conflict, again and again: others write it all the time, or this replica's watch is behind";

impl ProfileWrites {
    /// Takes in how a write ended.
    pub(crate) fn finish(
        &mut self,
        context: &Context,
        done: FinishedProfileWrite,
    ) -> ProfileFollowUp {
        let is_dirty = self.in_flight.end(&done.split, done.outcome.is_answered());
        let enqueue = is_dirty || matches!(done.outcome, ProfileWriteOutcome::Replaced);
        let split = done.split.clone();
        let retry_after = self.observe_outcome(context, done);
        ProfileFollowUp { split, enqueue, retry_after }
    }

    /// Takes note of an outcome. Returns when the next attempt is due.
    fn observe_outcome(
        &mut self,
        context: &Context,
        done: FinishedProfileWrite,
    ) -> Option<Duration> {
        let FinishedProfileWrite { split, key, ticket, noticed, outcome } = done;
        let metrics = &context.metrics.profiles;
        let mut fails = |key, failure, error: &str| {
            Some(self.observe_failure(context, &split, key, failure, noticed, error))
        };
        match outcome {
            ProfileWriteOutcome::Written(written) => {
                self.observe_landed(context, &split, &key, noticed);
                let facts = ProfileFacts::read(&written);
                let arrival = Arrival::Answered(&ticket);
                let profile = key.profile;
                context.shared.update(|index| index.enter_profile(profile, facts, arrival));
                None
            }
            ProfileWriteOutcome::Deleted | ProfileWriteOutcome::Gone => {
                match (&key.weights, &outcome) {
                    (None, ProfileWriteOutcome::Deleted) => {
                        report_restored(context, &split, &key.profile);
                    }
                    _ => metrics.count(WriteResult::Gone),
                }
                self.memories.entry(&split).clear_failure();
                // Removed by somebody else in the middle of our write: an overwrite like others.
                let (profile, version) = (&key.profile, &key.resource_version);
                context.shared.update(|index| index.lack_profile(profile, version, &ticket));
                None
            }
            ProfileWriteOutcome::Replaced => {
                metrics.count(WriteResult::Replaced);
                None
            }
            // The watch will deliver that too.
            ProfileWriteOutcome::StillManaged => {
                let memory = self.memories.entry(&split);
                Some(memory.observe_failure(key, WriteFailure::Conflict, noticed))
            }
            ProfileWriteOutcome::Conflict => {
                metrics.count(WriteResult::Conflict);
                fails(key, WriteFailure::Conflict, CONFLICT)
            }
            ProfileWriteOutcome::Refused(error) => {
                metrics.count(WriteResult::Failed);
                fails(key, WriteFailure::Refused, &error.to_string())
            }
            ProfileWriteOutcome::Unanswered(error) => {
                metrics.count(WriteResult::Failed);
                fails(key, WriteFailure::Unanswered, &error.to_string())
            }
        }
    }

    fn observe_landed(
        &mut self,
        context: &Context,
        split: &ObjectRef,
        key: &ProfileKey,
        noticed: Instant,
    ) {
        let (memory, profile) = (self.memories.entry(split), &key.profile);
        memory.clear_failure();
        let Some(weights) = &key.weights else { return report_restored(context, split, profile) };
        memory.observe_landed(weights, Instant::now());
        context.metrics.profiles.wrote(noticed.elapsed());
        tracing::debug!(%split, %profile, ?weights, "ServiceProfile written");
    }

    /// Takes note of an attempt that failed, and reports it where that is due. Returns how long to wait
    /// before the next one.
    fn observe_failure(
        &mut self,
        context: &Context,
        split: &ObjectRef,
        key: ProfileKey,
        failure: WriteFailure,
        noticed: Instant,
        error: &str,
    ) -> Duration {
        let profile = key.profile.clone();
        let memory = self.memories.entry(split);
        let wait = memory.observe_failure(key, failure, noticed);
        let is_reported = |failed: &FailedAttempt<_>| failed.streak().is_reported(Instant::now());
        if !memory.failed().is_some_and(is_reported) {
            return wait;
        }
        tracing::warn!(%split, %profile, %error, retry_in = ?wait, "a ServiceProfile was not written");
        if memory.problem.begins(ProfileProblem::Refused) {
            let index = context.shared.read();
            if let Some(managed) = index.object(split) {
                let name = &profile.name;
                context
                    .recorder
                    .publish(reports::profile_refused(split, &index, managed, name, error));
            }
        }
        wait
    }
}

fn report_restored(context: &Context, split: &ObjectRef, profile: &ObjectKey) {
    context.metrics.profiles.count(WriteResult::Restored);
    tracing::info!(%split, %profile, "ServiceProfile given back");
}
