//! What a replica remembers of an object beside the index: what it has observed, wanted, written
//! and reported. All of it may be lost; no decision needs it to be right.

use crate::engine::{BySet, PendingDelays, SteadyTime};
use crate::kinds::ObjectRef;
use crate::reconciler::attempts::{Attempt, FailedAttempt, WriteKey};
use crate::reconciler::down_conditions::DownCondition;
use crate::reconciler::hold::Hold;
use crate::reconciler::no_fallback::NoFallback;
use crate::reconciler::nothing_ready::NothingReady;
use crate::reconciler::overwrites::OverwriteTracker;
use crate::reconciler::short_ports::ShortPort;
use crate::reconciler::write::ActiveBackends;
use crate::telemetry::Metrics;
use crate::telemetry::report_once::ReportOnce;
use jiff::Timestamp;
use std::collections::{BTreeSet, HashMap, HashSet};
use std::time::Instant;

/// What a replica remembers of one object.
#[derive(Debug, Default)]
pub(crate) struct Memory {
    /// The delays that run, by set, for these active backends: a flap whose record has not been
    /// written yet, or cannot be, still counts.
    pending: BySet<(Vec<String>, PendingDelays)>,
    /// The backends that were left early and whose loss was then observed, by set: the record follows.
    lost: BySet<Vec<String>>,
    /// Those whose loss would have been seen here, had it come.
    watched: BySet<Vec<String>>,
    /// Where this replica wants the traffic, and since when by the steady clock, until
    /// another replica brings it there.
    wanted: Option<(ActiveBackends, SteadyTime)>,
    /// Where this replica brought the traffic as a standby, until its own facts differ.
    rescued: Option<ActiveBackends>,
    /// Since when there is something to be recorded.
    unrecorded: Option<Instant>,
    /// The last attempt at a write, where it failed.
    pub failed: Option<FailedAttempt<WriteKey>>,
    /// An attempt that had no answer, or was given up: it may have landed.
    pub may_have_landed: Option<Box<Attempt>>,
    /// That writes of it are refused.
    pub refusal: ReportOnce<()>,
    pub overwrites: Option<OverwriteTracker>,
    /// The last report of why its traffic is not where it should be.
    pub problem: ReportOnce<Problem>,
    /// Why it is on hold, and since when that has been seen here.
    on_hold: Option<(Problem, Timestamp)>,
    /// How much of its declaration can be read.
    pub readability: Readability,
    /// What cannot be read of it.
    pub unreadable: ReportOnce<String>,
    /// Why Linkerd does not use it.
    pub not_in_use: ReportOnce<Box<str>>,
    /// The ports that its backends do not serve.
    pub short_ports: ReportOnce<BTreeSet<ShortPort>>,
    /// What is reported of its backends that are declared down.
    pub down: ReportOnce<BTreeSet<DownCondition>>,
    /// Its sets that have nothing ready.
    pub nothing_ready: NothingReady,
    /// Its sets that have no ready fallback.
    pub no_fallback: NoFallback,
    /// Which of its rules have no primary.
    pub without_primary: ReportOnce<Box<str>>,
    /// When a person changed it last by a command.
    pub changed: ReportOnce<Timestamp>,
    /// What it lacks of its protection.
    pub protection: ReportOnce<Box<str>>,
}

/// How much of a declaration can be read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Readability {
    #[default]
    Readable,
    /// Some of it cannot be read, and the rest fails over.
    Partly,
    /// It cannot be read, and is not changed.
    Unreadable,
}

/// Why the traffic of an object is not where it should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Problem {
    /// A move is not made; why, and where the traffic should go.
    OnHold(Hold, ActiveBackends),
    /// Another writer has overwritten the weights this many times.
    Overwritten { times: u32, by: String },
}

impl Memory {
    /// The delays observed here of a set, where these are still its active backends.
    pub(crate) fn pending_beside(&self, set: &str, active: &[String]) -> Option<&PendingDelays> {
        let observed = self.pending.get(set).filter(|(beside, _)| beside == active);
        observed.map(|(_, pending)| pending)
    }

    /// Observes a set's delays; `recorded` are those in the object's state. Those observed here
    /// count, even where the record agrees: it is by a wall clock.
    pub(crate) fn observe(
        &mut self,
        set: &str,
        active: Option<&[String]>,
        pending: &PendingDelays,
        recorded: &PendingDelays,
    ) {
        match active.filter(|_| !pending.is_empty() || !recorded.is_empty()) {
            Some(active) => {
                self.pending.insert(set.to_owned(), (active.to_vec(), pending.clone()));
            }
            None => {
                self.pending.remove(set);
            }
        }
    }

    /// Whether its write fails again and again: callers need not wait for the next try.
    pub(crate) fn keeps_failing(&self) -> bool {
        self.failed.as_ref().is_some_and(|failed| failed.streak().times > 2)
    }

    /// Whether the loss of a backend that was left early has been observed.
    pub(crate) fn has_seen_loss(&self, set: &str, backend: &String) -> bool {
        self.lost.get(set).is_some_and(|lost| lost.contains(backend))
    }

    /// Whether that loss would have been seen here, had it come.
    pub(crate) fn has_watched(&self, set: &str, backend: &String) -> bool {
        self.watched.get(set).is_some_and(|watched| watched.contains(backend))
    }

    /// Observes the backends of a set that are left early, by its record. Those that `still` are, and those
    /// that traffic returns `to`, have not been lost.
    pub(crate) fn observe_left_early(
        &mut self,
        set: &str,
        recorded: &[String],
        still: &[String],
        to: &[String],
    ) {
        if !still.is_empty() {
            self.watched.insert(set.to_owned(), still.to_vec());
        }
        if recorded.is_empty() {
            self.lost.remove(set);
            if still.is_empty() {
                self.watched.remove(set);
            }
            return;
        }
        let lost = self.lost.entry(set.to_owned()).or_default();
        lost.retain(|b| recorded.contains(b) && !still.contains(b));
        for backend in recorded.iter().filter(|b| !still.contains(b) && !to.contains(b)) {
            if !lost.contains(backend) {
                lost.push(backend.clone());
            }
        }
    }

    /// Since when the traffic has been wanted there.
    pub(crate) fn wanted_since(&self, active: &ActiveBackends) -> Option<SteadyTime> {
        self.wanted.as_ref().filter(|(wanted, _)| wanted == active).map(|(_, since)| *since)
    }

    /// Observes that the traffic is wanted there, from now on or since earlier.
    pub(crate) fn observe_wanted(&mut self, active: &ActiveBackends, now: SteadyTime) {
        if self.wanted_since(active).is_none() {
            self.wanted = Some((active.clone(), now));
        }
    }

    /// Since when there is something to be recorded; from now on where there was nothing.
    pub(crate) fn unrecorded_since(&mut self, now: Instant) -> Instant {
        *self.unrecorded.get_or_insert(now)
    }

    /// The traffic is where it is wanted, and everything is recorded.
    pub(crate) fn mark_up_to_date(&mut self) {
        self.wanted = None;
        (self.unrecorded, self.failed, self.on_hold) = (None, None, None);
        self.problem.ends();
        self.refusal.ends();
    }

    /// Since when it has been seen to be on hold for this reason; from now on where it was not.
    pub(crate) fn on_hold_since(&mut self, problem: &Problem, now: Timestamp) -> Timestamp {
        match &self.on_hold {
            Some((known, since)) if known == problem => *since,
            _ => self.on_hold.insert((problem.clone(), now)).1,
        }
    }

    /// Observes a move that this replica made as a standby.
    pub(crate) fn observe_rescue(&mut self, to: ActiveBackends) {
        self.rescued = Some(to);
    }

    /// Whether this replica made a move as a standby which its own facts still want.
    pub(crate) fn is_rescued(&self) -> bool {
        self.rescued.is_some()
    }

    /// Observes where this replica's own facts want the traffic: a move made as a standby is
    /// past once they want another.
    pub(crate) fn observe_decision(&mut self, active: &ActiveBackends) {
        let differs = |(set, there): (&String, &Vec<String>)| active.get(set) != Some(there);
        if self.rescued.iter().flatten().any(differs) {
            self.rescued = None;
        }
    }

    /// Whether this replica made this very move as a standby.
    pub(crate) fn has_rescued(&self, active: &ActiveBackends) -> bool {
        let same = |(set, to): (&String, &Vec<String>)| {
            self.rescued.as_ref().and_then(|rescued| rescued.get(set)) == Some(to)
        };
        !active.is_empty() && active.iter().all(same)
    }

    fn is_empty(&self, now: Instant) -> bool {
        self.pending.is_empty()
            && self.lost.is_empty()
            && self.watched.is_empty()
            && self.wanted.is_none()
            && self.rescued.is_none()
            && self.unrecorded.is_none()
            && self.failed.is_none()
            && self.may_have_landed.is_none()
            && self.refusal.is_empty()
            && self.overwrites.as_ref().is_none_or(|overwrites| overwrites.is_past(now))
            && self.problem.is_empty()
            && self.on_hold.is_none()
            && self.readability == Readability::Readable
            && self.unreadable.is_empty()
            && self.not_in_use.is_empty()
            && self.short_ports.is_empty()
            && self.down.is_empty()
            && self.nothing_ready.is_empty()
            && self.no_fallback.is_empty()
            && self.without_primary.is_empty()
            && self.protection.is_empty()
    }
}

/// The memories of all objects; most objects have none.
#[derive(Debug, Default)]
pub(crate) struct Memories {
    /// Boxed: a table has room for twice as many as are in it.
    of: HashMap<ObjectRef, Box<Memory>>,
    /// Those that have nothing ready.
    nothing_ready: HashSet<ObjectRef>,
}

impl Memories {
    pub(crate) fn get(&self, key: &ObjectRef) -> Option<&Memory> {
        self.of.get(key).map(|memory| &**memory)
    }

    pub(crate) fn get_mut(&mut self, key: &ObjectRef) -> Option<&mut Memory> {
        self.of.get_mut(key).map(|memory| &mut **memory)
    }

    pub(crate) fn entry(&mut self, key: &ObjectRef) -> &mut Memory {
        self.of.entry(key.clone()).or_default()
    }

    pub(crate) fn remove(&mut self, key: &ObjectRef) -> Option<Memory> {
        self.nothing_ready.remove(key);
        self.of.remove(key).map(|memory| *memory)
    }

    /// The objects that anything is remembered of.
    pub(crate) fn keys(&self) -> impl Iterator<Item = &ObjectRef> {
        self.of.keys()
    }

    /// Whether anything of an object is without a ready backend.
    pub(crate) fn count_nothing_ready(&mut self, key: &ObjectRef, lacks: bool) {
        if !lacks {
            self.nothing_ready.remove(key);
        } else if !self.nothing_ready.contains(key) {
            self.nothing_ready.insert(key.clone());
        }
    }

    pub(crate) fn nothing_ready(&self) -> usize {
        self.nothing_ready.len()
    }

    pub(crate) fn unreadable(&self) -> usize {
        self.count(|memory| memory.readability == Readability::Unreadable)
    }

    pub(crate) fn partly_unreadable(&self) -> usize {
        self.count(|memory| memory.readability == Readability::Partly)
    }

    pub(crate) fn not_in_use(&self) -> usize {
        self.count(|memory| !memory.not_in_use.is_empty())
    }

    /// Those with a backend that does not serve a port.
    pub(crate) fn short_of_ports(&self) -> usize {
        self.count(|memory| !memory.short_ports.is_empty())
    }

    /// Those whose traffic stays on a backend that is declared down.
    pub(crate) fn kept_declared_down(&self) -> usize {
        let keeps = |it: &DownCondition| matches!(it, DownCondition::KeepsTraffic { .. });
        self.count(|memory| memory.down.last().into_iter().flatten().any(keeps))
    }

    /// Those whose traffic stays off a backend for longer than is declared.
    pub(crate) fn prolonged(&self) -> usize {
        let stays = |it: &DownCondition| matches!(it, DownCondition::StaysAway { .. });
        self.count(|memory| memory.down.last().into_iter().flatten().any(stays))
    }

    pub(crate) fn without_primary(&self) -> usize {
        self.count(|memory| !memory.without_primary.is_empty())
    }

    /// Those whose protection is not complete.
    pub(crate) fn incomplete(&self) -> usize {
        self.count(|memory| !memory.protection.is_empty())
    }

    fn count(&self, counts: impl Fn(&Memory) -> bool) -> usize {
        self.of.values().filter(|memory| counts(memory)).count()
    }

    /// Shows what is reported of objects. All but what cannot be read is reported by the leader alone: a
    /// replica that does not lead any more has seen how it began, and does not see how it ends.
    pub(crate) fn show(&self, leads: bool, metrics: &Metrics) {
        metrics.unreadable.set(self.unreadable() as i64);
        metrics.faulty.set(self.partly_unreadable() as i64);
        let by_leader = |count: usize| if leads { count as i64 } else { 0 };
        metrics.not_in_use.set(by_leader(self.not_in_use()));
        metrics.short.set(by_leader(self.short_of_ports()));
        metrics.declared_down.kept.set(by_leader(self.kept_declared_down()));
        metrics.declared_down.prolonged.set(by_leader(self.prolonged()));
        metrics.without_primary.set(by_leader(self.without_primary()));
        metrics.incomplete.set(by_leader(self.incomplete()));
    }

    /// Forgets what is past.
    pub(crate) fn prune(&mut self, now: Instant) {
        self.of.retain(|_, memory| !memory.is_empty(now));
        if self.of.len() < self.of.capacity() / 4 {
            self.of.shrink_to_fit();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kinds::{Kind, ObjectKey};

    /// Otherwise an alert about them would fire until that replica ends.
    #[test]
    fn a_replica_that_leads_no_more_shows_none_of_the_conditions_that_the_leader_reports() {
        let route = ObjectRef::new(Kind::HttpRoute, ObjectKey::new("ns", "web"));
        let (mut memories, metrics) = (Memories::default(), Metrics::default());
        let memory = memories.entry(&route);
        memory.readability = Readability::Partly;
        memory.not_in_use.begins("NoMatchingParent".into());
        memory.without_primary.begins("rules[0]".into());
        memory.protection.begins("no retries".into());
        let shown = || {
            let Metrics { faulty, not_in_use, without_primary, incomplete, .. } = &metrics;
            [faulty.get(), not_in_use.get(), without_primary.get(), incomplete.get()]
        };
        memories.show(true, &metrics);
        assert_eq!(shown(), [1, 1, 1, 1]);
        memories.show(false, &metrics);
        assert_eq!(shown(), [1, 0, 0, 0], "what cannot be read every replica sees");
        memories.remove(&route);
        memories.show(true, &metrics);
        assert_eq!(shown(), [0, 0, 0, 0]);
    }

    #[test]
    fn a_standbys_move_is_remembered_until_its_own_facts_want_another() {
        let active = |name: &str| ActiveBackends::from([(String::new(), vec![name.to_owned()])]);
        let west = active("west");
        let mut memory = Memory::default();
        memory.observe_rescue(west.clone());
        memory.mark_up_to_date();
        memory.observe_decision(&west);
        assert!(memory.is_rescued(), "it has landed, and may be taken back");
        memory.observe_decision(&active("primary"));
        assert!(!memory.is_rescued());
    }
}
