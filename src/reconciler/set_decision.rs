//! One set of an object: what the engine decides for it, and the move that this takes.

use crate::engine::{
    BackendIndex, Decision, DecisionReason, Health, Now, PendingDelays, Previous, SetState,
    WriteNeed, decide, remembered, write_need,
};
use crate::index::managed_object::{ManagedObject, ManagedSet};
use crate::index::store::Index;
use crate::kinds::ObjectRef;
use crate::reconciler::flip::{Occasion, SetMove, TrafficMove};
use crate::reconciler::memory::Memory;

/// A set, and what is decided for it.
#[derive(Debug)]
pub(crate) struct SetDecision<'a> {
    pub set: &'a ManagedSet,
    pub health: Vec<Health>,
    pub decision: Decision,
    pub need: WriteNeed,
    /// None where its traffic stays where it is.
    pub flip: Option<SetMove>,
}

impl<'a> SetDecision<'a> {
    /// Decides a set of an object, by the facts and by what is remembered of it.
    pub(crate) fn new(
        index: &Index,
        object: &ObjectRef,
        managed: &ManagedObject,
        set: &'a ManagedSet,
        memory: Option<&Memory>,
        now: Now,
    ) -> Self {
        let ManagedSet { intent, state, .. } = set;
        let health = index.health(object.namespace(), intent, now.steady);
        let health = remembered(intent, &health, state.as_ref()).into_owned();
        let observed = state.as_ref().map(|state| SetState {
            left_early: still_left_early(index, object, managed, set, state, memory),
            ..state.clone()
        });
        let previous = match &observed {
            Some(state) => Previous::Decided(state, delays(set, state, memory)),
            None => Previous::Live,
        };
        let decision = decide(intent, &health, previous, now);
        let need = write_need(intent, set.previous(), &decision);
        // What an author wrote past the webhook is recorded.
        let need = if managed.edited_by.is_some() { need.max(WriteNeed::Record) } else { need };
        let mut decided = Self { set, health, decision, need, flip: None };
        if need != WriteNeed::Nothing {
            let left_early = observed.map(|state| state.left_early).unwrap_or_default();
            decided.flip = decided.set_move(index, object, managed, &left_early, now);
        }
        decided
    }

    /// Whether its traffic moves.
    pub(crate) fn moves(&self) -> bool {
        self.flip.is_some()
    }

    /// Whether its traffic leaves a primary that is lost.
    pub(crate) fn leaves_primary(&self) -> bool {
        self.flip.as_ref().is_some_and(|flip| !flip.lost.is_empty())
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

    /// The move that the decision takes; none where the active backends stay the same. `left_early`: the
    /// backends that an early flip left.
    fn set_move(
        &self,
        index: &Index,
        object: &ObjectRef,
        managed: &ManagedObject,
        left_early: &[String],
        now: Now,
    ) -> Option<SetMove> {
        let (intent, decision) = (&self.set.intent, &self.decision);
        let from = match &self.set.state {
            Some(state) => state.active.clone(),
            None => intent.carrying().iter().map(|i| intent.backends[*i].name.clone()).collect(),
        };
        let to = self.active();
        if from == to {
            return None;
        }
        let on_primary = decision.on_primary(intent);
        let is_loss = !on_primary && decision.reason != DecisionReason::Pinned;
        let leaves_primary = is_loss && intent.primaries().any(|p| from.iter().any(|b| b == p));
        let is_there = |b: &String| index.still_has_one_of(&managed.leaving, &object.beside(b));
        let taken_back = left_early.iter().filter(|b| to.contains(b)).any(is_there);
        let leaves_early = decision.names_left_early(intent);
        let occasion = if leaves_early.iter().any(|name| from.contains(name)) {
            Occasion::EarlyFlip(index.named_leaving(object, &leaves_early, now))
        } else if taken_back {
            Occasion::NotLost
        } else {
            Occasion::Change
        };
        Some(SetMove {
            set: intent.set.clone(),
            on_primary,
            lost: match leaves_primary {
                true => intent.primaries().map(str::to_owned).collect(),
                false => vec![],
            },
            taken_back,
            traffic: TrafficMove {
                apex: intent.apex().to_owned(),
                from,
                to,
                occasion,
                reason: decision.explain(intent, &self.health),
            },
        })
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

/// The backends that an early flip left and whose loss has not come. Whether it has come for a backend that
/// this replica has not watched all along is read from the pods.
fn still_left_early(
    index: &Index,
    object: &ObjectRef,
    managed: &ManagedObject,
    set: &ManagedSet,
    state: &SetState,
    memory: Option<&Memory>,
) -> Vec<String> {
    let name = &set.intent.set;
    let is_left = |backend: &&String| match memory {
        Some(memory) if memory.has_seen_loss(name, backend) => false,
        Some(memory) if memory.has_watched(name, backend) => true,
        _ => index.still_has_one_of(&managed.leaving, &object.beside(backend)),
    };
    state.left_early.iter().filter(is_left).cloned().collect()
}
