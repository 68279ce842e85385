//! What a replica remembers of the ServiceProfile of a split. All of it may be lost.

use crate::index::change::Noticed;
use crate::kinds::{ObjectKey, ObjectRef};
use crate::reconciler::attempts::{AttemptKey, FailedAttempt, WriteFailure};
use crate::reconciler::overwrites::OverwriteTracker;
use crate::reconciler::service_profiles::plan::{NotOurs, ProfileWrite};
use crate::telemetry::report_once::ReportOnce;
use std::collections::HashMap;
use std::time::{Duration, Instant};

/// The profile, the version that a write is decided from, and the weights that it writes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ProfileKey {
    pub profile: ObjectKey,
    pub resource_version: Box<str>,
    /// None where the profile is restored.
    pub weights: Option<Vec<u32>>,
}

impl From<&ProfileWrite> for ProfileKey {
    fn from(write: &ProfileWrite) -> Self {
        Self {
            profile: write.profile.clone(),
            resource_version: write.resource_version.clone(),
            weights: Some(write.weights.clone()).filter(|weights| !weights.is_empty()),
        }
    }
}

impl AttemptKey for ProfileKey {
    fn writes_the_same(&self, other: &Self) -> bool {
        self.weights == other.weights
    }
}

/// Why the weights of a split are not in its profile.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ProfileProblem {
    /// The profile is not ours to write.
    NotOurs(NotOurs),
    Refused,
    /// Another writer has overwritten the profile this many times.
    Overwritten(u32),
}

/// What is remembered of one profile, by its split.
#[derive(Debug, Default)]
pub(crate) struct ProfileMemory {
    failed: Option<FailedAttempt<ProfileKey>>,
    /// Of an attempt without an answer: it may have landed.
    unanswered: Option<Noticed>,
    overwrites: Option<OverwriteTracker>,
    /// What was reported last.
    pub problem: ReportOnce<ProfileProblem>,
}

impl ProfileMemory {
    /// The last attempt, where it failed.
    pub(crate) fn failed(&self) -> Option<&FailedAttempt<ProfileKey>> {
        self.failed.as_ref()
    }

    pub(crate) fn overwrites(&self) -> Option<&OverwriteTracker> {
        self.overwrites.as_ref()
    }

    /// Observes an attempt that failed. Returns how long to wait before the next one.
    pub(crate) fn observe_failure(
        &mut self,
        key: ProfileKey,
        failure: WriteFailure,
        noticed: Noticed,
    ) -> Duration {
        let before = self.failed.as_ref();
        let alike = before.is_some_and(|before| before.key().writes_the_same(&key));
        let (failed, wait) = FailedAttempt::after(before, key, failure, Instant::now());
        // A later try of the same weights may meet a conflict with the one that landed.
        let earlier = self.unanswered.filter(|_| alike);
        self.unanswered = earlier.or((failure == WriteFailure::Unanswered).then_some(noticed));
        self.failed = Some(failed);
        wait
    }

    /// No attempt has failed since the last one that landed, or the profile is not to be written.
    pub(crate) fn clear_failure(&mut self) {
        (self.failed, self.unanswered) = (None, None);
    }

    /// Observes weights that have landed.
    pub(crate) fn observe_landed(&mut self, weights: &[u32], now: Instant) {
        self.overwrites = Some(OverwriteTracker::wrote(self.overwrites.as_ref(), weights, now));
    }

    /// The profile has these weights. Returns when it was noticed that the split is to be reconciled, where
    /// an attempt without an answer has brought them there.
    pub(crate) fn mark_up_to_date(&mut self, weights: &[u32]) -> Option<Noticed> {
        let failed = self.failed.take();
        let unanswered = self.unanswered.take();
        self.problem.ends();
        let same = failed.filter(|failed| failed.key().weights.as_deref() == Some(weights));
        unanswered.filter(|_| same.is_some())
    }

    fn is_past(&self, now: Instant) -> bool {
        self.failed.is_none()
            && self.problem.is_empty()
            && self.overwrites.as_ref().is_none_or(|overwrites| overwrites.is_past(now))
    }
}

/// The memories of all profiles, by split.
#[derive(Debug, Default)]
pub(crate) struct ProfileMemories {
    of: HashMap<ObjectRef, ProfileMemory>,
}

impl ProfileMemories {
    pub(crate) fn get(&self, split: &ObjectRef) -> Option<&ProfileMemory> {
        self.of.get(split)
    }

    pub(crate) fn get_mut(&mut self, split: &ObjectRef) -> Option<&mut ProfileMemory> {
        self.of.get_mut(split)
    }

    pub(crate) fn entry(&mut self, split: &ObjectRef) -> &mut ProfileMemory {
        self.of.entry(split.clone()).or_default()
    }

    pub(crate) fn remove(&mut self, split: &ObjectRef) {
        self.of.remove(split);
    }

    /// The splits of whose profiles anything is remembered.
    pub(crate) fn keys(&self) -> impl Iterator<Item = &ObjectRef> {
        self.of.keys()
    }

    /// Forgets what is past.
    pub(crate) fn prune(&mut self, now: Instant) {
        self.of.retain(|_, memory| !memory.is_past(now));
    }
}
