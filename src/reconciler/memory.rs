//! What a replica remembers of an object beside the index: what it has observed, wanted, written
//! and said. All of it may be lost; none of it is needed to decide rightly.

use crate::engine::{BySet, PendingDelays, SteadyTime};
use crate::kinds::ObjectRef;
use crate::reconciler::attempts::{Attempt, FailedWrite};
use crate::reconciler::nothing_ready::NothingReady;
use crate::reconciler::overwrites::OverwriteTracker;
use crate::reconciler::plan::Active;
use std::collections::{BTreeSet, HashMap, HashSet};
use std::time::Instant;

#[derive(Debug, Default)]
pub(crate) struct Memory {
    /// The delays that run, by set, for these active backends: a flap whose record has not been
    /// written yet, or cannot be, still counts.
    pending: BySet<(Vec<String>, PendingDelays)>,
    /// The backends that traffic has left ahead of a loss, by set, whose loss then came: what is
    /// recorded follows.
    came: BySet<Vec<String>>,
    /// Those whose loss would have been seen here, had it come.
    watched: BySet<Vec<String>>,
    /// Where this replica wants the traffic, and since when by the steady clock, while it waits for
    /// another replica to bring it there.
    wanted: Option<(Active, SteadyTime)>,
    /// Where this replica brought the traffic as a standby, until its own facts say otherwise.
    pub rescued: Option<Active>,
    /// Since when there is something to be recorded.
    pub unrecorded: Option<Instant>,
    /// A write that failed: how often, what it was to write, when to try again.
    pub failed: Option<FailedWrite>,
    /// A write that had no answer, or was given up: it may have landed.
    pub may_have_landed: Option<Box<Attempt>>,
    /// Whether it has been said that this write is refused.
    pub refusal_told: bool,
    pub undone: Option<OverwriteTracker>,
    /// What was said last, so that it is said once.
    told: Option<String>,
    /// Whether it cannot be read, and is left as it is.
    pub unreadable: bool,
    /// Whether a part of it cannot be read, and the rest fails over.
    pub faulty: bool,
    /// Why Linkerd does not use it, as it was said last.
    pub not_in_use: Option<Box<str>>,
    /// What was said last of ports that its backends do not serve.
    pub short: Option<BTreeSet<String>>,
    /// What people have been told of its sets that have nothing ready.
    pub nothing_ready: NothingReady,
    /// Which of its rules have no primary, as it was said last.
    pub without_primary: Option<Box<str>>,
}

impl Memory {
    /// The delays observed here of a set, where these are still its active backends.
    pub(crate) fn pending_beside(&self, set: &str, active: &[String]) -> Option<&PendingDelays> {
        let observed = self.pending.get(set).filter(|(beside, _)| beside == active);
        observed.map(|(_, pending)| pending)
    }

    /// Takes note of a set's delays; `recorded` are those in the object's state. Those observed here
    /// count, even where the record agrees: it goes by a wall clock.
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
        self.failed.as_ref().is_some_and(|failed| failed.streak.times > 2)
    }

    /// Whether the loss that traffic left a backend ahead of was seen to come.
    pub(crate) fn has_come(&self, set: &str, backend: &String) -> bool {
        self.came.get(set).is_some_and(|came| came.contains(backend))
    }

    /// Whether that loss would have been seen here, had it come.
    pub(crate) fn has_watched(&self, set: &str, backend: &String) -> bool {
        self.watched.get(set).is_some_and(|watched| watched.contains(backend))
    }

    /// Takes note of the backends that a set has left ahead of a loss, by its record; those that are
    /// left for that reason still, and those that it goes back to, have not been lost.
    pub(crate) fn observe_ahead(
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
            self.came.remove(set);
            if still.is_empty() {
                self.watched.remove(set);
            }
            return;
        }
        let came = self.came.entry(set.to_owned()).or_default();
        came.retain(|b| recorded.contains(b) && !still.contains(b));
        for backend in recorded.iter().filter(|b| !still.contains(b) && !to.contains(b)) {
            if !came.contains(backend) {
                came.push(backend.clone());
            }
        }
    }

    /// Since when the traffic has been wanted there.
    pub(crate) fn wanted_since(&self, active: &Active) -> Option<SteadyTime> {
        self.wanted.as_ref().filter(|(wanted, _)| wanted == active).map(|(_, since)| *since)
    }

    /// Takes note that the traffic is wanted there, from now on or since earlier.
    pub(crate) fn wants(&mut self, active: &Active, now: SteadyTime) {
        if self.wanted_since(active).is_none() {
            self.wanted = Some((active.clone(), now));
        }
    }

    /// Whether this has not been said just before; from now on it has.
    pub(crate) fn is_news(&mut self, word: &str) -> bool {
        let news = self.told.as_deref() != Some(word);
        if news {
            self.told = Some(word.to_owned());
        }
        news
    }

    /// What was said last holds no more.
    pub(crate) fn has_said_nothing(&mut self) {
        self.told = None;
    }

    /// The traffic is where it is wanted.
    pub(crate) fn is_content(&mut self) {
        self.wanted = None;
        (self.unrecorded, self.failed, self.told) = (None, None, None);
        self.refusal_told = false;
    }

    /// Takes note of where this replica's own facts want the traffic: a move made as a standby is
    /// past once they want another.
    pub(crate) fn decided(&mut self, active: &Active) {
        let differs = |(set, there): (&String, &Vec<String>)| active.get(set) != Some(there);
        if self.rescued.iter().flatten().any(differs) {
            self.rescued = None;
        }
    }

    /// Whether this replica made this very move as a standby.
    pub(crate) fn has_rescued(&self, active: &Active) -> bool {
        let same = |(set, to): (&String, &Vec<String>)| {
            self.rescued.as_ref().and_then(|rescued| rescued.get(set)) == Some(to)
        };
        !active.is_empty() && active.iter().all(same)
    }

    fn is_empty(&self, now: Instant) -> bool {
        self.pending.is_empty()
            && self.came.is_empty()
            && self.watched.is_empty()
            && self.wanted.is_none()
            && self.rescued.is_none()
            && self.unrecorded.is_none()
            && self.failed.is_none()
            && self.may_have_landed.is_none()
            && !self.refusal_told
            && self.undone.as_ref().is_none_or(|undone| undone.is_past(now))
            && self.told.is_none()
            && !self.unreadable
            && !self.faulty
            && self.not_in_use.is_none()
            && self.short.is_none()
            && self.nothing_ready.is_empty()
            && self.without_primary.is_none()
    }
}

/// The memories of all objects; most objects have none.
#[derive(Debug, Default)]
pub(crate) struct Memories {
    of: HashMap<ObjectRef, Memory>,
    /// Those that have nothing ready.
    nothing_ready: HashSet<ObjectRef>,
}

impl Memories {
    pub(crate) fn get(&self, key: &ObjectRef) -> Option<&Memory> {
        self.of.get(key)
    }

    pub(crate) fn get_mut(&mut self, key: &ObjectRef) -> Option<&mut Memory> {
        self.of.get_mut(key)
    }

    pub(crate) fn entry(&mut self, key: &ObjectRef) -> &mut Memory {
        self.of.entry(key.clone()).or_default()
    }

    pub(crate) fn remove(&mut self, key: &ObjectRef) -> Option<Memory> {
        self.nothing_ready.remove(key);
        self.of.remove(key)
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
        self.of.values().filter(|memory| memory.unreadable).count()
    }

    pub(crate) fn faulty(&self) -> usize {
        self.of.values().filter(|memory| memory.faulty).count()
    }

    pub(crate) fn not_in_use(&self) -> usize {
        self.of.values().filter(|memory| memory.not_in_use.is_some()).count()
    }

    /// Those with a backend that does not serve a port.
    pub(crate) fn short(&self) -> usize {
        self.of.values().filter(|memory| memory.short.is_some()).count()
    }

    pub(crate) fn without_primary(&self) -> usize {
        self.of.values().filter(|memory| memory.without_primary.is_some()).count()
    }

    /// Forgets what is past.
    pub(crate) fn prune(&mut self, now: Instant) {
        self.of.retain(|_, memory| !memory.is_empty(now));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_standbys_move_is_remembered_until_its_own_facts_want_another() {
        let active = |name: &str| Active::from([(String::new(), vec![name.to_owned()])]);
        let west = active("west");
        let mut memory = Memory { rescued: Some(west.clone()), ..Memory::default() };
        memory.is_content();
        memory.decided(&west);
        assert!(memory.rescued.is_some(), "it has landed, and may be taken back");
        memory.decided(&active("primary"));
        assert_eq!(memory.rescued, None);
    }
}
