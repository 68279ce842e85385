//! Transitions of objects, derived from what their states record: a new leader derives the same ones, with
//! the same times, as the leader before it.

use crate::kinds::ObjectRef;
use crate::notifications::notification::SetData;
use crate::telemetry::NotificationType::{self, Failover, Held, Return};
use jiff::{SignedDuration, Timestamp};
use std::collections::{BTreeSet, HashMap};

/// What is older is not sent by a new leader.
const RECENT: SignedDuration = SignedDuration::from_mins(10);
/// What is kept of one object at most, however often its traffic moves.
const MOST_RECENT: usize = 32;

/// Where the traffic of a set is, as its state records it.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Position<'a> {
    /// The rule of a route; empty where the object has one set.
    pub set: &'a str,
    pub apexes: &'a [String],
    pub active: &'a [String],
    pub since: Timestamp,
    pub on_primary: bool,
    pub pinned: bool,
    /// Since when nothing has been ready.
    pub nothing_ready: Option<Timestamp>,
}

/// What has happened to sets of an object at a time.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Transition {
    pub what: NotificationType,
    pub at: Timestamp,
    pub sets: Vec<SetData>,
    /// The sentence about the move, where this replica has made it.
    pub made: Option<String>,
}

impl Transition {
    /// The rules that it concerns.
    pub(crate) fn rules(&self) -> Vec<String> {
        self.sets.iter().map(|set| set.rule.clone()).collect()
    }
}

/// What has been seen of the objects that are away from their primaries, or were a while ago.
#[derive(Debug, Default)]
pub(crate) struct Transitions(HashMap<ObjectRef, Seen>);

#[derive(Debug, Default)]
struct Seen {
    uid: Box<str>,
    /// The sets that were away from their primaries.
    away: BTreeSet<String>,
    recent: Vec<Recent>,
    /// The last move that this replica has made.
    made: Option<Made>,
}

#[derive(Debug)]
struct Recent {
    what: NotificationType,
    at: Timestamp,
    set: SetData,
    is_reported: bool,
}

#[derive(Debug)]
struct Made {
    sets: Vec<SetData>,
    sentence: String,
}

impl Transitions {
    /// The types of what is derived here.
    pub(crate) const TYPES: &[NotificationType] = &[Failover, Return, Held];

    /// This replica has moved these sets; their record may follow.
    pub(crate) fn observe_move(
        &mut self,
        object: &ObjectRef,
        sets: Vec<SetData>,
        sentence: String,
    ) {
        self.0.entry(object.clone()).or_default().made = Some(Made { sets, sentence });
    }

    /// Observes what an object records. Returns what the leader has to report, in the order of time; a
    /// standby keeps it until it leads, and a leader that leads no more reports it again when it does: what
    /// it had queued was left to the leaders between.
    pub(crate) fn observe(
        &mut self,
        object: &ObjectRef,
        uid: &str,
        positions: &[Position<'_>],
        leads: bool,
        now: Timestamp,
    ) -> Vec<Transition> {
        let news = |p: &Position<'_>| !p.on_primary || p.nothing_ready.is_some();
        if !self.0.contains_key(object) && !positions.iter().any(news) {
            return vec![];
        }
        let seen = self.0.entry(object.clone()).or_default();
        seen.follow(uid);
        seen.take_in(positions, now - RECENT);
        let reported = if leads { seen.report() } else { seen.stand_by() };
        if seen.is_past() {
            self.0.remove(object);
        }
        reported
    }

    /// An object is gone.
    pub(crate) fn forget(&mut self, object: &ObjectRef) {
        self.0.remove(object);
    }

    /// Forgets what is not recent any more.
    pub(crate) fn prune(&mut self, now: Timestamp) {
        self.0.retain(|_, seen| {
            seen.recent.retain(|recent| recent.at > now - RECENT);
            !seen.is_past()
        });
    }
}

impl Seen {
    /// An object of the same name is another one. What it was moved by is observed before its uid is.
    fn follow(&mut self, uid: &str) {
        if &*self.uid != uid {
            *self = Self { uid: uid.into(), made: self.made.take(), ..Self::default() };
        }
    }

    fn take_in(&mut self, positions: &[Position<'_>], after: Timestamp) {
        self.recent.retain(|recent| recent.at > after);
        self.away.retain(|set| positions.iter().any(|position| position.set == set));
        for position in positions {
            let was_away = self.away.contains(position.set);
            if !position.on_primary {
                self.away.insert(position.set.to_owned());
                self.add(Failover, position.since, position, after);
            } else if was_away {
                self.away.remove(position.set);
                self.add(Return, position.since, position, after);
            }
            if let Some(since) = position.nothing_ready {
                self.add(Held, since, position, after);
            }
        }
    }

    /// Adds what is recent and not known.
    fn add(&mut self, what: NotificationType, at: Timestamp, of: &Position<'_>, after: Timestamp) {
        let is_known = |known: &Recent| {
            (known.what, known.at, known.set.rule.as_str()) == (what, at, of.set)
                && known.set.to == of.active
        };
        if at <= after || self.recent.iter().any(is_known) {
            return;
        }
        let set = SetData {
            rule: of.set.to_owned(),
            apexes: of.apexes.to_vec(),
            from: vec![],
            to: of.active.to_vec(),
            pinned: of.pinned,
        };
        if self.recent.len() >= MOST_RECENT {
            self.recent.remove(0);
        }
        self.recent.push(Recent { what, at, set, is_reported: false });
    }

    fn stand_by(&mut self) -> Vec<Transition> {
        self.recent.iter_mut().for_each(|recent| recent.is_reported = false);
        vec![]
    }

    /// Takes what is not reported yet: sets to which the same happens at the same time, together.
    fn report(&mut self) -> Vec<Transition> {
        let mut transitions: Vec<Transition> = vec![];
        for recent in self.recent.iter_mut().filter(|recent| !recent.is_reported) {
            recent.is_reported = true;
            let set = recent.set.clone();
            let same = |t: &&mut Transition| (t.what, t.at) == (recent.what, recent.at);
            match transitions.iter_mut().find(same) {
                Some(transition) => transition.sets.push(set),
                None => transitions.push(Transition {
                    what: recent.what,
                    at: recent.at,
                    sets: vec![set],
                    made: None,
                }),
            }
        }
        transitions.sort_by_key(|transition| transition.at);
        transitions.iter_mut().for_each(|transition| self.describe(transition));
        transitions
    }

    /// Adds where the traffic was, and why it moved, as far as this replica has moved it.
    fn describe(&self, transition: &mut Transition) {
        let Some(made) = self.made.as_ref().filter(|_| transition.what != Held) else { return };
        let of = |set: &SetData| made.sets.iter().find(|m| m.rule == set.rule && m.to == set.to);
        if !transition.sets.iter().all(|set| of(set).is_some()) {
            return;
        }
        for set in &mut transition.sets {
            set.from = of(set).map(|made| made.from.clone()).unwrap_or_default();
        }
        transition.made = Some(made.sentence.clone());
    }

    fn is_past(&self) -> bool {
        self.away.is_empty() && self.recent.is_empty()
    }
}

#[cfg(test)]
#[path = "transitions_tests.rs"]
mod tests;
