//! One set of an object: what the engine decides for it, and the move that this takes.

use crate::engine::{
    BackendIndex, Decision, DecisionReason, Health, PendingDelays, Previous, SetState, WriteNeed,
    as_recorded, decide, in_force, remembered, write_need,
};
use crate::index::managed_object::ManagedSet;
use crate::reconciler::context::Subject;
use crate::reconciler::flip::{Occasion, SetMove, TrafficMove};
use crate::reconciler::memory::Memory;

/// A set, and what is decided for it.
#[derive(Debug)]
pub(crate) struct SetDecision<'a> {
    pub set: &'a ManagedSet,
    pub health: Vec<Health>,
    pub decision: Decision,
    pub need: WriteNeed,
    /// Whether its traffic moves.
    pub moves: bool,
    /// Whether a person has paused the object.
    pub paused: bool,
    /// The backends that are still left early.
    left_early: Vec<String>,
}

impl<'a> SetDecision<'a> {
    /// Decides a set of an object, by the facts and by what is remembered of it.
    pub(crate) fn new(subject: &Subject<'a>, set: &'a ManagedSet, memory: Option<&Memory>) -> Self {
        let Subject { index, object, now, .. } = *subject;
        let health = index.health(object.namespace(), &set.intent, now);
        Self::by_health(subject, set, memory, health)
    }

    /// The same by another health of each backend.
    pub(crate) fn by_health(
        subject: &Subject<'_>,
        set: &'a ManagedSet,
        memory: Option<&Memory>,
        health: Vec<Health>,
    ) -> Self {
        let Subject { managed, now, .. } = *subject;
        let ManagedSet { intent, state, .. } = set;
        let health = remembered(intent, &health, state.as_ref());
        let health = match subject.leads {
            true => in_force(intent, &health, state.as_ref(), now.wall).into_owned(),
            false => as_recorded(intent, &health, state.as_ref()),
        };
        let left_early = left_early(subject, set, memory);
        let observed = state
            .as_ref()
            .map(|state| SetState { left_early: left_early.clone(), ..state.clone() });
        let previous = match &observed {
            Some(state) => Previous::Decided(state, delays(set, state, memory)),
            None => Previous::Live,
        };
        let decision = decide(intent, &health, previous, now);
        let need = write_need(intent, set.previous(), &decision);
        // What an author wrote past the webhook is recorded.
        let need = if managed.edited_by.is_some() { need.max(WriteNeed::Record) } else { need };
        let moves = need != WriteNeed::Nothing && carrying(set) != decision.names(intent);
        let paused = intent.policy.paused_at(now.wall);
        Self { set, health, decision, need, moves, paused, left_early }
    }

    /// Whether its traffic leaves a primary that is lost.
    pub(crate) fn leaves_primary(&self) -> bool {
        let (intent, decision) = (&self.set.intent, &self.decision);
        let is_loss = !decision.on_primary(intent) && decision.reason != DecisionReason::Pinned;
        let from = carrying(self.set);
        self.moves && is_loss && intent.primaries().any(|p| from.iter().any(|b| b == p))
    }

    /// Whether it is off its primary because a person has declared that down: it is no loss to be counted.
    pub(crate) fn is_by_person(&self) -> bool {
        self.decision.is_by_person(&self.set.intent)
    }

    /// Whether its traffic stays, and the object has the weights of the decision as they are written.
    pub(crate) fn is_in_place(&self) -> bool {
        let intent = &self.set.intent;
        let mut weights = intent.backends.iter().zip(&self.decision.weights);
        let same = weights.all(|(backend, weight)| backend.live == *weight);
        let as_written = same && !intent.is_normalized && intent.repeated.is_empty();
        !self.moves && (intent.is_alone() || as_written)
    }

    /// The backends that have its traffic now, by name.
    pub(crate) fn carrying(&self) -> Vec<String> {
        carrying(self.set)
    }

    /// The backends that are to get its traffic, by name.
    pub(crate) fn active(&self) -> Vec<String> {
        self.decision.names(&self.set.intent)
    }

    /// Its name, with a value of it.
    pub(crate) fn named<T>(&self, value: T) -> (String, T) {
        (self.set.intent.set.clone(), value)
    }

    /// The Services by which it was decided: those that traffic leaves and goes to, those that would
    /// come before these, and the apex where its ports are what the backends are asked for.
    pub(crate) fn rests_on(&self) -> impl Iterator<Item = &str> {
        let (intent, decision) = (&self.set.intent, &self.decision);
        let goes_to = |tier: &Vec<BackendIndex>| tier.iter().any(|i| decision.active.contains(i));
        let last = intent.tiers.iter().position(goes_to).unwrap_or_default();
        let preferred = intent.tiers.iter().take(last).flatten();
        let backends = decision.before.iter().chain(&decision.active).chain(preferred);
        let backends = backends.map(|i| intent.backends[*i].name.as_str());
        let asks_the_apex = intent.backends.iter().any(|backend| backend.port.is_none());
        let apex = intent.apexes.first().filter(|_| asks_the_apex);
        backends.chain(apex.map(String::as_str))
    }

    /// The move that the decision takes, for this `reason`.
    pub(crate) fn set_move(&self, subject: &Subject<'_>, reason: String) -> SetMove {
        let (intent, from, to) = (&self.set.intent, carrying(self.set), self.active());
        let taken_back = self.takes_back(subject, &to);
        let leaves_primary = self.leaves_primary();
        let lost = intent.primaries().filter(|_| leaves_primary);
        SetMove {
            set: intent.set.clone(),
            on_primary: self.decision.on_primary(intent),
            lost: lost.map(str::to_owned).collect(),
            taken_back,
            by_person: self.is_by_person(),
            traffic: TrafficMove {
                apex: intent.apex().clone(),
                occasion: self.occasion(subject, &from, taken_back),
                from,
                to,
                reason,
            },
        }
    }

    /// Whether traffic returns to a backend that was left early and still has the announced pods.
    fn takes_back(&self, subject: &Subject<'_>, to: &[String]) -> bool {
        let Subject { index, object, managed, .. } = *subject;
        let is_there =
            |b: &String| index.still_has_one_of(&managed.recorded_pods, &object.beside(b));
        self.left_early.iter().filter(|b| to.contains(b)).any(is_there)
    }

    fn occasion(&self, subject: &Subject<'_>, from: &[String], taken_back: bool) -> Occasion {
        let Subject { index, object, now, .. } = *subject;
        let left_early = self.decision.names_left_early(&self.set.intent);
        if left_early.iter().any(|name| from.contains(name)) {
            Occasion::EarlyFlip(index.describe_announced(object, &left_early, now))
        } else if taken_back {
            Occasion::TakenBack
        } else {
            Occasion::Change
        }
    }
}

/// The backends that have the traffic of a set, by name.
pub(crate) fn carrying(set: &ManagedSet) -> Vec<String> {
    let intent = &set.intent;
    match &set.state {
        Some(state) => state.active.clone(),
        None => intent.carrying().iter().map(|i| intent.backends[*i].name.clone()).collect(),
    }
}

/// A delay is counted from when it was observed, here if it was here.
fn delays<'a>(
    set: &'a ManagedSet,
    state: &SetState,
    memory: Option<&'a Memory>,
) -> &'a PendingDelays {
    let observed = memory.and_then(|memory| memory.pending_beside(&set.intent.set, &state.active));
    observed.unwrap_or(&set.pending)
}

/// The backends that are still left early: their loss has not come. For a backend that this replica has not
/// watched all along, the pods show that.
fn left_early(subject: &Subject<'_>, set: &ManagedSet, memory: Option<&Memory>) -> Vec<String> {
    let Subject { index, object, managed, .. } = *subject;
    let name = &set.intent.set;
    let is_left_early = |backend: &&String| match memory {
        Some(memory) if memory.has_seen_loss(name, backend) => false,
        Some(memory) if memory.has_watched(name, backend) => true,
        _ => index.still_has_one_of(&managed.recorded_pods, &object.beside(backend)),
    };
    set.left_early().iter().filter(is_left_early).cloned().collect()
}
