//! The lane of the ServiceProfiles beside that of the splits: a profile is written in the same pass
//! as its split, at the same time, and retried on its own. Neither waits for the other: a profile
//! that a webhook of Linkerd holds up delays no next flip, and callers follow the profile alone.

use super::events::Said;
use super::profile::{self, Case, ProfileSettings, ProfileWrite, Verdict};
use super::profile_writer::{self as writer, Outcome};
use super::queue::Queue;
use super::reconcile::{Controller, backoff};
use super::undone::Undone;
use crate::cluster::profiles::ProfileFacts;
use crate::cluster::{Arrival, Index, Managed, Ticket};
use crate::resources::{Kind, ObjectKey, ObjectRef};
use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::task::JoinSet;

/// The writes of profiles, by the split that each is for.
#[derive(Default)]
pub struct Lane {
    pub writes: JoinSet<Done>,
    in_flight: HashSet<ObjectRef>,
    /// Splits that were decided anew while their profile was being written.
    again: HashSet<ObjectRef>,
    /// Splits whose profile has to wait until another is written, with the moment they were first
    /// noticed.
    deferred: VecDeque<(ObjectRef, Instant)>,
    is_deferred: HashSet<ObjectRef>,
    memories: HashMap<ObjectRef, Memory>,
}

/// What is remembered of a split's profile. All of it may be lost.
#[derive(Debug, Default)]
struct Memory {
    failed: Option<Failed>,
    undone: Option<Undone>,
    /// What was said last, so that it is said once.
    told: Option<String>,
}

/// A write that failed, and when the very same may be tried again.
#[derive(Debug)]
struct Failed {
    times: u32,
    not_before: Instant,
    what: Attempt,
}

/// What tells one attempt from another: the version it was made on, and what it was to write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attempt {
    profile: ObjectKey,
    resource_version: Box<str>,
    /// None where it gives the profile back.
    weights: Option<Vec<u32>>,
}

/// What a split's profile should have.
pub struct Wish<'a> {
    /// The weights that the split gets now; none: those that it has.
    pub decided: Option<&'a [u32]>,
    /// Whether the split is for this replica to write.
    pub ours: bool,
    /// When it was first noticed.
    pub noticed: Instant,
}

/// What a write task hands back.
pub struct Done {
    split: ObjectRef,
    attempt: Attempt,
    ticket: Ticket,
    noticed: Instant,
    outcome: Outcome,
}

impl Lane {
    pub fn in_flight(&self) -> usize {
        self.in_flight.len()
    }

    /// Whether a split's profile is being written, or waits for its turn.
    pub fn is_writing(&self, split: &ObjectRef) -> bool {
        self.in_flight.contains(split) || self.is_deferred.contains(split)
    }

    /// Whether it could not be written as it should be.
    pub fn has_failed(&self, split: &ObjectRef) -> bool {
        self.memories.get(split).is_some_and(|memory| memory.failed.is_some())
    }

    /// The splits that anything is remembered of.
    pub fn remembered(&self) -> impl Iterator<Item = &ObjectRef> {
        self.memories.keys()
    }

    /// Forgets what is past.
    pub fn prune(&mut self, now: Instant) {
        self.memories.retain(|_, memory| {
            memory.failed.is_some()
                || memory.told.is_some()
                || memory.undone.as_ref().is_some_and(|undone| !undone.is_past(now))
        });
    }

    /// Whether a write may begin now; a split whose may not is remembered.
    fn has_room(&mut self, split: &ObjectRef, most: usize, noticed: Instant) -> bool {
        if self.in_flight.contains(split) {
            self.again.insert(split.clone());
            return false;
        }
        if self.in_flight.len() < most {
            return true;
        }
        if self.is_deferred.insert(split.clone()) {
            self.deferred.push_back((split.clone(), noticed));
        }
        false
    }

    /// The next split to decide again, while fewer writes than `most` are under way.
    pub fn next(&mut self, most: usize) -> Option<(ObjectRef, Instant)> {
        let next = (self.in_flight.len() < most).then(|| self.deferred.pop_front()).flatten()?;
        self.is_deferred.remove(&next.0);
        Some(next)
    }

    /// What waits is noticed again by other ways.
    pub fn forget_deferred(&mut self) {
        self.deferred.clear();
        self.is_deferred.clear();
    }
}

impl Controller {
    /// Sees to it that a managed split's profile has the weights that it should.
    pub(super) fn carry(
        &self,
        queue: &mut Queue,
        index: &Index,
        split: &ObjectRef,
        managed: &Managed,
        wish: Wish<'_>,
    ) {
        if split.kind != Kind::TrafficSplit {
            self.notice_hidden(queue, index, managed, split);
            return;
        }
        let Some(settings) = self.writes_profiles(index).filter(|_| wish.ours) else { return };
        let live = || {
            let set = managed.readable().first();
            set.map(|set| set.intent.backends.iter().map(|b| b.live).collect()).unwrap_or_default()
        };
        let weights: Vec<u32> = wish.decided.map_or_else(live, <[u32]>::to_vec);
        let case = Case { index, split, managed, settings };
        match case.carry(&weights) {
            Verdict::Nothing => {
                if let Some(memory) = queue.profiles.memories.get_mut(split) {
                    (memory.failed, memory.told) = (None, None);
                }
            }
            Verdict::Leave(why) => {
                let memory = queue.profiles.memories.entry(split.clone()).or_default();
                memory.failed = None;
                if self.leads() && memory.told.as_ref() != Some(&why) {
                    tracing::warn!(%split, "{why}");
                    self.say(Said::profile_left(split, index, managed, &why));
                    memory.told = Some(why);
                }
            }
            Verdict::Write(write) => {
                let attempt = attempt(&write);
                if self.is_time_for(queue, split, &attempt, Some((index, managed)))
                    && queue.profiles.has_room(split, self.settings.concurrency, wish.noticed)
                {
                    let client = self.client.clone();
                    let ticket = index.profile_ticket(&attempt.profile);
                    self.spawn(queue, split, attempt, ticket, wish.noticed, async move {
                        writer::write(&client, &write).await
                    });
                }
            }
        }
    }

    /// Gives back what is written for a split that is not among the managed ones.
    pub(super) fn give_back(
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
            .and_then(|settings| Some((settings, profile::orphan(index, split, settings)?)));
        let Some((settings, (profile, facts))) = orphan else {
            queue.profiles.memories.remove(split);
            return;
        };
        let attempt = Attempt {
            profile: profile.clone(),
            resource_version: facts.resource_version.clone(),
            weights: None,
        };
        if self.is_time_for(queue, split, &attempt, None)
            && queue.profiles.has_room(split, self.settings.concurrency, noticed)
        {
            // That the cluster has no such kind any more is known by its own word.
            let version = index.served(split.kind);
            let (client, split_ref): (_, ObjectRef) = (self.client.clone(), split.clone());
            let (profile, facts): (_, ProfileFacts) = (profile.clone(), facts.clone());
            let settings: Arc<ProfileSettings> = settings.clone();
            let ticket = index.profile_ticket(&attempt.profile);
            self.spawn(queue, split, attempt, ticket, noticed, async move {
                writer::give_back(&client, &split_ref, version, &profile, &facts, &settings).await
            });
        }
    }

    /// A profile hides a route: what is written for a younger split on a route's apex goes.
    fn notice_hidden(&self, queue: &mut Queue, index: &Index, route: &Managed, object: &ObjectRef) {
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
        attempt: &Attempt,
        about: Option<(&Index, &Managed)>,
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
                    self.say(Said::profile_undone(split, index, managed, name, times));
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

    fn spawn(
        &self,
        queue: &mut Queue,
        split: &ObjectRef,
        attempt: Attempt,
        ticket: Ticket,
        noticed: Instant,
        write: impl Future<Output = Outcome> + Send + 'static,
    ) {
        queue.profiles.in_flight.insert(split.clone());
        let split = split.clone();
        queue.profiles.writes.spawn(async move {
            let outcome = write.await;
            Done { split, attempt, ticket, noticed, outcome }
        });
    }

    pub(super) fn finish_profile(&self, queue: &mut Queue, done: Done) {
        let Done { split, attempt, ticket, noticed, outcome } = done;
        let lane = &mut queue.profiles;
        lane.in_flight.remove(&split);
        let again = lane.again.remove(&split);
        let profile = &attempt.profile;
        let memory = lane.memories.entry(split.clone()).or_default();
        match outcome {
            Outcome::Written(written) => {
                memory.failed = None;
                match &attempt.weights {
                    Some(weights) => {
                        memory.undone =
                            Some(Undone::wrote(memory.undone.as_ref(), weights, Instant::now()));
                        self.metrics.profiles.wrote(noticed.elapsed());
                        tracing::debug!(%split, %profile, ?weights, "ServiceProfile written");
                    }
                    None => self.given_back(&split, profile),
                }
                let facts = ProfileFacts::read(&written);
                let arrival = Arrival::Answered(&ticket);
                self.shared.update(|index| index.enter_profile(profile.clone(), facts, arrival));
            }
            Outcome::Deleted | Outcome::Gone => {
                match (&attempt.weights, &outcome) {
                    (None, Outcome::Deleted) => self.given_back(&split, profile),
                    _ => self.metrics.profiles.count("gone"),
                }
                memory.failed = None;
                // Removed by somebody else in the middle of our write: an undoing like others.
                let version = &attempt.resource_version;
                self.shared.update(|index| index.lack_profile(profile, version, &ticket));
            }
            // The watch will say so too.
            Outcome::StillManaged => {
                let wait = memory.fails(attempt);
                queue.alarms.set(&split, wait);
            }
            Outcome::Conflict => {
                self.metrics.profiles.count("conflict");
                let wait = memory.fails(attempt);
                queue.alarms.set(&split, wait);
            }
            Outcome::Failed(error) => {
                self.metrics.profiles.count("failed");
                let wait = memory.fails(attempt.clone());
                tracing::warn!(%split, %profile, %error, retry_in = ?wait, "a ServiceProfile was not written");
                let told = "refused".to_owned();
                if memory.told.as_ref() != Some(&told) {
                    let index = self.shared.read();
                    if let Some(managed) = index.object(&split) {
                        self.say(Said::profile_refused(
                            &split,
                            &index,
                            managed,
                            &profile.name,
                            &error,
                        ));
                    }
                    memory.told = Some(told);
                }
                queue.alarms.set(&split, wait);
            }
        }
        if queue.waits.concern(&split) {
            queue.notice_first(split);
        } else if again {
            queue.notice(split, Instant::now());
        }
    }

    fn given_back(&self, split: &ObjectRef, profile: &ObjectKey) {
        self.metrics.profiles.count("given_back");
        tracing::info!(%split, %profile, "ServiceProfile given back");
    }
}

impl Memory {
    /// Takes note of an attempt that failed. Returns when the same may be made again.
    fn fails(&mut self, what: Attempt) -> Duration {
        let alike = |failed: &&Failed| failed.what.weights == what.weights;
        let before = self.failed.as_ref().filter(alike);
        let times = before.map_or(1, |failed| failed.times.saturating_add(1));
        let wait = backoff(times);
        self.failed = Some(Failed { times, not_before: Instant::now() + wait, what });
        wait
    }
}

fn attempt(write: &ProfileWrite) -> Attempt {
    Attempt {
        profile: write.profile.clone(),
        resource_version: write.resource_version.clone(),
        weights: Some(write.weights.clone()).filter(|weights| !weights.is_empty()),
    }
}
