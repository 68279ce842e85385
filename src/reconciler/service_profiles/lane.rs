//! The lane of the ServiceProfiles beside that of the splits: a profile is written in the same pass
//! as its split, at the same time, and retried on its own. Neither waits for the other: a profile
//! that a webhook of Linkerd holds up delays no next flip, and callers follow the profile alone.
//! Which of them may be under way at once goes by [`Lanes`] of their own.

use crate::index::managed_object::ManagedObject;
use crate::index::order::{Arrival, Ticket};
use crate::index::profile_facts::ProfileFacts;
use crate::index::store::Index;
use crate::kinds::{Kind, ObjectKey, ObjectRef};
use crate::reconciler::attempts::{FailureStreak, WriteFailure};
use crate::reconciler::lanes::{Lane, Lanes, patience};
use crate::reconciler::outcomes::backoff;
use crate::reconciler::overwrites::OverwriteTracker;
use crate::reconciler::queue::Queue;
use crate::reconciler::reconcile::Controller;
use crate::reconciler::reports;
use crate::reconciler::service_profiles::plan;
use crate::reconciler::service_profiles::plan::{
    ProfilePlan, ProfileSettings, ProfileWrite, SplitWithProfile,
};
use crate::reconciler::service_profiles::writer;
use crate::reconciler::service_profiles::writer::ProfileWriteOutcome;
use crate::reconciler::writer::{CROWDED, GiveUp, unless_given_up};
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::oneshot;
use tokio::task::JoinSet;

/// The writes of profiles, by the split that each is for.
pub(crate) struct ProfileLane {
    pub writes: JoinSet<FinishedProfileWrite>,
    pub lanes: Lanes,
    in_flight: HashMap<ObjectRef, InFlightProfileWrite>,
    /// Splits that were decided anew while their profile was being written.
    again: HashSet<ObjectRef>,
    memories: HashMap<ObjectRef, ProfileMemory>,
}

/// A write that is under way.
struct InFlightProfileWrite {
    attempt: ProfileAttempt,
    give_up: Option<oneshot::Sender<GiveUp>>,
}

/// What is remembered of a split's profile. All of it may be lost.
#[derive(Debug, Default)]
struct ProfileMemory {
    failed: Option<FailedProfileWrite>,
    undone: Option<OverwriteTracker>,
    /// What was said last, so that it is said once.
    told: Option<String>,
}

/// A write that failed, and when the very same may be tried again.
#[derive(Debug)]
struct FailedProfileWrite {
    streak: FailureStreak,
    not_before: Instant,
    what: ProfileAttempt,
    /// When the split was first noticed, of a write that may have landed.
    noticed: Option<Instant>,
}

/// What tells one attempt from another: the version it was made on, and what it was to write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ProfileAttempt {
    profile: ObjectKey,
    resource_version: Box<str>,
    /// None where it gives the profile back.
    weights: Option<Vec<u32>>,
}

/// What a split's profile should have.
pub(crate) struct ProfileRequest<'a> {
    /// The weights that the split gets now; none: those that it has.
    pub decided: Option<&'a [u32]>,
    /// Whether the split is for this replica to write.
    pub ours: bool,
    /// When it was first noticed.
    pub noticed: Instant,
}

/// What a write task hands back.
pub(crate) struct FinishedProfileWrite {
    begun: Begun,
    outcome: ProfileWriteOutcome,
}

/// A write that has begun.
struct Begun {
    split: ObjectRef,
    attempt: ProfileAttempt,
    ticket: Ticket,
    /// When the split was first noticed.
    noticed: Instant,
}

impl ProfileLane {
    /// With so many fast places.
    pub(crate) fn new(concurrency: usize) -> Self {
        Self {
            writes: JoinSet::new(),
            lanes: Lanes::new(concurrency),
            in_flight: HashMap::new(),
            again: HashSet::new(),
            memories: HashMap::new(),
        }
    }

    /// Whether a split's profile is being written, or waits for its turn.
    pub(crate) fn is_writing(&self, split: &ObjectRef) -> bool {
        self.in_flight.contains_key(split) || self.lanes.waits(split)
    }

    /// Whether it could not be written as it should be.
    pub(crate) fn has_failed(&self, split: &ObjectRef) -> bool {
        self.memories.get(split).is_some_and(|memory| memory.failed.is_some())
    }

    /// The splits that anything is remembered of.
    pub(crate) fn remembered(&self) -> impl Iterator<Item = &ObjectRef> {
        self.memories.keys()
    }

    /// Forgets what is past.
    pub(crate) fn prune(&mut self, now: Instant) {
        self.memories.retain(|_, memory| {
            memory.failed.is_some()
                || memory.told.is_some()
                || memory.undone.as_ref().is_some_and(|undone| !undone.is_past(now))
        });
    }

    /// Takes in that it is `now`. Returns the splits that have waited for a write which has become slow.
    pub(crate) fn turn(&mut self, now: Instant) -> Vec<ObjectRef> {
        let turn = self.lanes.turn(now);
        for split in &turn.given_up {
            self.give_up(split, GiveUp::Crowded);
        }
        turn.slow.into_iter().filter(|split| self.again.remove(split)).collect()
    }

    fn give_up(&mut self, split: &ObjectRef, why: GiveUp) {
        let in_flight = self.in_flight.get_mut(split);
        if let Some(give_up) = in_flight.and_then(|in_flight| in_flight.give_up.take()) {
            // It may have ended just now.
            let _ = give_up.send(why);
        }
    }

    /// What is under way for a split, and slow, is not wanted any more.
    fn replace(&mut self, split: &ObjectRef) {
        if self.lanes.is_slow(split) {
            self.give_up(split, GiveUp::Replaced);
        }
    }

    /// The lane in which a write may begin now; a split whose may not is remembered.
    fn room(
        &mut self,
        split: &ObjectRef,
        attempt: &ProfileAttempt,
        noticed: Instant,
    ) -> Option<Lane> {
        if let Some(in_flight) = self.in_flight.get(split) {
            self.again.insert(split.clone());
            if in_flight.attempt != *attempt {
                self.replace(split);
            }
            return None;
        }
        let lane = self.streak(split).map_or(Lane::Fast, |streak| streak.lane());
        if self.lanes.has_room(lane) {
            return Some(lane);
        }
        self.lanes.wait(split, lane, noticed);
        None
    }

    fn streak(&self, split: &ObjectRef) -> Option<FailureStreak> {
        Some(self.memories.get(split)?.failed.as_ref()?.streak)
    }
}

impl Controller {
    /// Sees to it that a managed split's profile has the weights that it should.
    pub(crate) fn carry(
        &self,
        queue: &mut Queue,
        index: &Index,
        split: &ObjectRef,
        managed: &ManagedObject,
        wish: ProfileRequest<'_>,
    ) {
        if split.kind != Kind::TrafficSplit {
            self.notice_hidden(queue, index, managed, split);
            return;
        }
        let Some(settings) = self.writes_profiles(index).filter(|_| wish.ours) else {
            queue.profiles.replace(split);
            return;
        };
        let live = || {
            let set = managed.readable().first();
            set.map(|set| set.intent.backends.iter().map(|b| b.live).collect()).unwrap_or_default()
        };
        let weights: Vec<u32> = wish.decided.map_or_else(live, <[u32]>::to_vec);
        let case = SplitWithProfile { index, split, managed, settings };
        match case.carry(&weights) {
            ProfilePlan::Nothing => {
                queue.profiles.replace(split);
                if !queue.profiles.in_flight.contains_key(split)
                    && let Some(memory) = queue.profiles.memories.get_mut(split)
                {
                    // A write without an answer has landed after all.
                    let landed = memory
                        .failed
                        .take()
                        .filter(|failed| failed.what.weights.as_ref() == Some(&weights));
                    if let Some(noticed) = landed.and_then(|failed| failed.noticed) {
                        self.metrics.profiles.wrote(noticed.elapsed());
                    }
                    memory.told = None;
                }
            }
            ProfilePlan::Leave(why) => {
                queue.profiles.replace(split);
                let memory = queue.profiles.memories.entry(split.clone()).or_default();
                memory.failed = None;
                if self.leads() && memory.told.as_ref() != Some(&why) {
                    tracing::warn!(%split, "{why}");
                    self.say(reports::profile_left(split, index, managed, &why));
                    memory.told = Some(why);
                }
            }
            ProfilePlan::Write(write) => {
                let attempt = attempt(&write);
                if self.is_time_for(queue, split, &attempt, Some((index, managed)))
                    && let Some(lane) = queue.profiles.room(split, &attempt, wish.noticed)
                {
                    let ticket = index.profile_ticket(&attempt.profile);
                    let client = self.profile_writes.of(lane).clone();
                    let noticed = wish.noticed;
                    let begun = Begun { split: split.clone(), attempt, ticket, noticed };
                    self.spawn(queue, lane, begun, |patience| async move {
                        writer::write(&client, &write, patience).await
                    });
                }
            }
        }
    }

    /// Gives back what is written for a split that is not among the managed ones.
    pub(crate) fn give_back(
        &self,
        queue: &mut Queue,
        index: &Index,
        split: &ObjectRef,
        noticed: Instant,
    ) {
        let orphan = self
            .writes_profiles(index)
            // What may not be read there is not gone.
            .filter(|_| self.leads() && !index.forbidden.has(split.namespace()))
            .and_then(|settings| Some((settings, plan::orphan(index, split, settings)?)));
        let Some((settings, (profile, facts))) = orphan else {
            queue.profiles.memories.remove(split);
            return;
        };
        let attempt = ProfileAttempt {
            profile: profile.clone(),
            resource_version: facts.resource_version.clone(),
            weights: None,
        };
        if self.is_time_for(queue, split, &attempt, None)
            && let Some(lane) = queue.profiles.room(split, &attempt, noticed)
        {
            // That the cluster has no such kind any more is known by its own word.
            let version = index.served(split.kind);
            let ticket = index.profile_ticket(&attempt.profile);
            let client = self.profile_writes.of(lane).clone();
            let split_ref = split.clone();
            let (profile, facts): (_, ProfileFacts) = (profile.clone(), facts.clone());
            let settings: Arc<ProfileSettings> = settings.clone();
            let begun = Begun { split: split.clone(), attempt, ticket, noticed };
            self.spawn(queue, lane, begun, |patience| async move {
                let (split, profile, facts) = (&split_ref, &profile, &facts);
                writer::give_back(&client, split, version, profile, facts, &settings, patience)
                    .await
            });
        }
    }

    /// A profile hides a route: what is written for a younger split on a route's apex goes.
    fn notice_hidden(
        &self,
        queue: &mut Queue,
        index: &Index,
        route: &ManagedObject,
        object: &ObjectRef,
    ) {
        if self.writes_profiles(index).is_none() || !self.leads() {
            return;
        }
        for apex in route.apexes() {
            let apex = object.beside(apex);
            let split = index.first_split_on(&apex);
            let Some((split, managed)) = split.and_then(|s| Some((s, index.object(s)?))) else {
                continue;
            };
            let written = index.profiles_written_for(split).next().is_some();
            if written && (route.created, object) < (managed.created, split) {
                queue.notice(split.clone(), Instant::now());
            }
        }
    }

    /// How profiles are written, where they may be written now: their facts are whole, and no person
    /// has frozen the cluster.
    fn writes_profiles(&self, index: &Index) -> Option<&Arc<ProfileSettings>> {
        let may = index.synced.profiles && !index.no_profiles && !index.cluster_wide.frozen;
        self.profiles.as_ref().filter(|_| may)
    }

    /// Whether nothing of the past says to wait: a write that failed, a writer that undoes ours.
    fn is_time_for(
        &self,
        queue: &mut Queue,
        split: &ObjectRef,
        attempt: &ProfileAttempt,
        about: Option<(&Index, &ManagedObject)>,
    ) -> bool {
        let now = Instant::now();
        let Some(memory) = queue.profiles.memories.get_mut(split) else { return true };
        let failed = memory.failed.as_ref().filter(|failed| failed.what == *attempt);
        let mut wait =
            failed.map(|f| f.not_before.saturating_duration_since(now)).unwrap_or_default();
        let again = memory.undone.as_ref().zip(attempt.weights.as_ref());
        if let Some((times, undone)) = again.and_then(|(undone, w)| undone.again(w, now)) {
            wait = wait.max(undone);
            let told = format!("undone {times} times");
            if times > 1 && memory.told.as_ref() != Some(&told) {
                self.metrics.profiles.undone.inc();
                tracing::warn!(%split, profile = %attempt.profile, times, next = ?wait, "a ServiceProfile is being undone");
                if let Some((index, managed)) = about {
                    let name = &attempt.profile.name;
                    self.say(reports::profile_undone(split, index, managed, name, times));
                }
                memory.told = Some(told);
            }
        }
        if wait.is_zero() {
            return true;
        }
        queue.alarms.set(split, wait);
        false
    }

    fn spawn<F: Future<Output = ProfileWriteOutcome> + Send + 'static>(
        &self,
        queue: &mut Queue,
        lane: Lane,
        begun: Begun,
        write: impl FnOnce(Duration) -> F,
    ) {
        let (profiles, split) = (&mut queue.profiles, &begun.split);
        profiles.lanes.begin(split, lane, Instant::now());
        let (give_up, given_up) = oneshot::channel();
        let in_flight =
            InFlightProfileWrite { attempt: begun.attempt.clone(), give_up: Some(give_up) };
        profiles.in_flight.insert(split.clone(), in_flight);
        let unanswered = profiles.streak(split).map_or(0, |streak| streak.unanswered);
        let write = write(patience(unanswered));
        profiles.writes.spawn(async move {
            let outcome = match unless_given_up(write, given_up).await {
                Ok(outcome) => outcome,
                Err(GiveUp::Replaced) => ProfileWriteOutcome::Replaced,
                Err(GiveUp::Crowded) => ProfileWriteOutcome::Unanswered(CROWDED.into()),
            };
            FinishedProfileWrite { begun, outcome }
        });
    }

    pub(crate) fn finish_profile(&self, queue: &mut Queue, done: FinishedProfileWrite) {
        let FinishedProfileWrite { begun: Begun { split, attempt, ticket, noticed }, outcome } =
            done;
        let profiles = &mut queue.profiles;
        let answered =
            !matches!(outcome, ProfileWriteOutcome::Unanswered(_) | ProfileWriteOutcome::Replaced);
        profiles.lanes.end(&split, answered.then(Instant::now));
        profiles.in_flight.remove(&split);
        let again =
            profiles.again.remove(&split) || matches!(outcome, ProfileWriteOutcome::Replaced);
        let profile = &attempt.profile;
        let memory = profiles.memories.entry(split.clone()).or_default();
        match outcome {
            ProfileWriteOutcome::Written(written) => {
                memory.failed = None;
                match &attempt.weights {
                    Some(weights) => {
                        memory.undone = Some(OverwriteTracker::wrote(
                            memory.undone.as_ref(),
                            weights,
                            Instant::now(),
                        ));
                        self.metrics.profiles.wrote(noticed.elapsed());
                        tracing::debug!(%split, %profile, ?weights, "ServiceProfile written");
                    }
                    None => self.given_back(&split, profile),
                }
                let facts = ProfileFacts::read(&written);
                let arrival = Arrival::Answered(&ticket);
                self.shared.update(|index| index.enter_profile(profile.clone(), facts, arrival));
            }
            ProfileWriteOutcome::Deleted | ProfileWriteOutcome::Gone => {
                match (&attempt.weights, &outcome) {
                    (None, ProfileWriteOutcome::Deleted) => self.given_back(&split, profile),
                    _ => self.metrics.profiles.count("gone"),
                }
                memory.failed = None;
                // Removed by somebody else in the middle of our write: an undoing like others.
                let version = &attempt.resource_version;
                self.shared.update(|index| index.lack_profile(profile, version, &ticket));
            }
            ProfileWriteOutcome::Replaced => self.metrics.profiles.count("replaced"),
            // The watch will say so too.
            ProfileWriteOutcome::StillManaged => {
                let wait = memory.fails(attempt, WriteFailure::Conflict, None);
                queue.alarms.set(&split, wait);
            }
            ProfileWriteOutcome::Conflict => {
                self.metrics.profiles.count("conflict");
                let why = "409 Conflict, again and again: others write it all the time, or this replica's watch is behind";
                self.profile_failed(
                    queue,
                    split.clone(),
                    attempt,
                    WriteFailure::Conflict,
                    noticed,
                    why,
                );
            }
            ProfileWriteOutcome::Refused(error) => {
                self.metrics.profiles.count("failed");
                self.profile_failed(
                    queue,
                    split.clone(),
                    attempt,
                    WriteFailure::Refused,
                    noticed,
                    &error,
                );
            }
            ProfileWriteOutcome::Unanswered(error) => {
                self.metrics.profiles.count("failed");
                let failure = WriteFailure::Unanswered;
                self.profile_failed(queue, split.clone(), attempt, failure, noticed, &error);
            }
        }
        if queue.waits.concern(&split) {
            queue.notice_first(split);
        } else if again {
            queue.notice(split, Instant::now());
        }
    }

    /// Takes note of a write that failed, and tells people where that is due.
    fn profile_failed(
        &self,
        queue: &mut Queue,
        split: ObjectRef,
        attempt: ProfileAttempt,
        failure: WriteFailure,
        noticed: Instant,
        error: &str,
    ) {
        let profile = attempt.profile.clone();
        let memory = queue.profiles.memories.entry(split.clone()).or_default();
        let wait = memory.fails(attempt, failure, Some(noticed));
        queue.alarms.set(&split, wait);
        let is_told = |failed: &FailedProfileWrite| failed.streak.is_told(Instant::now());
        if !memory.failed.as_ref().is_some_and(is_told) {
            return;
        }
        tracing::warn!(%split, %profile, %error, retry_in = ?wait, "a ServiceProfile was not written");
        let told = "refused".to_owned();
        if memory.told.as_ref() != Some(&told) {
            let index = self.shared.read();
            if let Some(managed) = index.object(&split) {
                let said = reports::profile_refused(&split, &index, managed, &profile.name, error);
                self.say(said);
            }
            memory.told = Some(told);
        }
    }

    fn given_back(&self, split: &ObjectRef, profile: &ObjectKey) {
        self.metrics.profiles.count("given_back");
        tracing::info!(%split, %profile, "ServiceProfile given back");
    }
}

impl ProfileMemory {
    /// Takes note of an attempt that failed. Returns when the same may be made again.
    fn fails(
        &mut self,
        what: ProfileAttempt,
        failure: WriteFailure,
        noticed: Option<Instant>,
    ) -> Duration {
        let now = Instant::now();
        let before = self.failed.as_ref();
        let alike = before.is_some_and(|failed| failed.what.weights == what.weights);
        let streak = FailureStreak::after(before.map(|failed| &failed.streak), alike, failure, now);
        let wait = backoff(streak.times);
        // A later try of the same weights may meet a conflict with the one that landed.
        let earlier = before.filter(|_| alike).and_then(|failed| failed.noticed);
        let noticed = earlier.or(noticed.filter(|_| failure == WriteFailure::Unanswered));
        self.failed = Some(FailedProfileWrite { streak, not_before: now + wait, what, noticed });
        wait
    }
}

fn attempt(write: &ProfileWrite) -> ProfileAttempt {
    ProfileAttempt {
        profile: write.profile.clone(),
        resource_version: write.resource_version.clone(),
        weights: Some(write.weights.clone()).filter(|weights| !weights.is_empty()),
    }
}
