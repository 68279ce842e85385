//! From facts to a plan: what an object needs, what to patch for it, and what to say once that
//! has landed.

use super::memory::Memory;
use crate::cluster::{Decider, Index, Managed};
use crate::failover::{
    AuthoredWeights, Because, Decision, Health, Identity, Intent, Need, Now, Pending, Previous,
    annotations, decide, need,
};
use crate::resources::ObjectKey;
use crate::resources::traffic_split::Edit;
use jiff::{SignedDuration, Timestamp};

/// What an object needs now, by the newest facts.
#[derive(Debug)]
pub struct Plan {
    /// The write that it takes; none where nothing is needed.
    pub write: Option<Write>,
    /// See [`Decision::rescue`].
    pub rescue: bool,
    /// The backends that get the traffic, by name.
    pub active: Vec<String>,
    /// The Services whose health this decision rests on.
    pub rests_on: Vec<ObjectKey>,
    /// The delays that run, as they are observed here.
    pub pending: Pending,
    /// When to look again even if nothing changes.
    pub next: Option<SignedDuration>,
    pub paused: bool,
    /// Who made the decision that the object carries, and since when that is seen.
    pub decider: Option<Decider>,
    pub seen: Timestamp,
    /// Whoever but us wrote the weights last.
    pub other_writer: Option<Box<str>>,
}

/// A write.
#[derive(Clone, Debug)]
pub struct Write {
    pub key: ObjectKey,
    pub uid: String,
    pub resource_version: String,
    pub patch: json_patch::Patch,
    /// The weights that it writes; none where it writes no weights.
    pub weights: Vec<u32>,
    /// The object has no state of ours yet, or has lost it.
    pub is_first: bool,
    pub kind: Kind,
}

impl Write {
    /// Whether it changes weights, rather than what is known.
    pub fn moves(&self) -> bool {
        matches!(self.kind, Kind::Flip(_) | Kind::Correction)
    }

    /// Whether another writer may have brought it about, and may do so again. A move of an object
    /// that has our state is our own.
    pub fn may_be_undone(&self) -> bool {
        self.moves() && (self.kind == Kind::Correction || self.is_first)
    }
}

/// What a write is for.
#[derive(Clone, Debug, PartialEq)]
pub enum Kind {
    /// Traffic moves.
    Flip(Flip),
    /// Weights that others have changed are put right.
    Correction,
    /// What is known is recorded.
    Record,
    /// Our claim on `spec` is given up, so that those who apply it meet no conflict.
    Disclaim,
}

/// Traffic that moves from some backends to others.
#[derive(Clone, Debug, PartialEq)]
pub struct Flip {
    pub on_primary: bool,
    pub leaves_primary: bool,
    pub note: String,
}

impl Flip {
    /// The note of a move that has not been made.
    pub fn should(&self) -> String {
        self.note.replacen(" moved ", " should move ", 1)
    }
}

/// The plan for an object; none where it is not managed or cannot be read.
pub fn plan(
    index: &Index,
    key: &ObjectKey,
    memory: Option<&Memory>,
    me: &Identity,
    now: Now,
) -> Option<Plan> {
    let managed = index.object(key)?;
    let intent = managed.intent.as_ref().ok()?;
    let health = index.health(&key.namespace, intent, now.steady);
    // A delay is counted from when it was observed, here if it was here.
    let mut remembered = managed.state.clone();
    if let Some(state) = &mut remembered
        && let Some(pending) = memory.and_then(|memory| memory.pending_beside(&state.active))
    {
        state.pending = pending.clone();
    }
    let previous = remembered.as_ref().map_or(Previous::Live, Previous::Decided);
    let decision = decide(intent, &health, previous, now);
    let need = need(intent, managed.state.as_ref(), &decision);
    let flip = flip(managed, intent, &decision, &health);
    let concerned = decision.before.iter().chain(&decision.active);
    let mut rests_on: Vec<_> = concerned.map(|i| key.beside(&intent.backends[*i].name)).collect();
    rests_on.sort_unstable();
    rests_on.dedup();
    let write = match need {
        Need::Nothing => disclaim(key, managed),
        _ => Some(write(key, managed, intent, &decision, &health, &flip, need, me, now)),
    };
    Some(Plan {
        write,
        rescue: decision.rescue,
        active: decision.names(intent),
        rests_on,
        pending: decision.pending,
        next: decision.next,
        paused: intent.policy.paused,
        decider: managed.decider.clone(),
        seen: managed.seen,
        other_writer: managed.owners.other.clone(),
    })
}

#[expect(clippy::too_many_arguments)]
fn write(
    key: &ObjectKey,
    managed: &Managed,
    intent: &Intent,
    decision: &Decision,
    health: &[Health],
    flip: &Option<Flip>,
    need: Need,
    me: &Identity,
    now: Now,
) -> Write {
    let mut edit = Edit::guarded_by(&managed.resource_version);
    edit.weights(&decision.weights);
    let state = decision.state(intent, health, me, now);
    let mut set = vec![(annotations::STATE, state.to_annotation())];
    if !managed.authored_recorded {
        let authored = AuthoredWeights::new(intent.authored()).to_annotation();
        set.push((annotations::AUTHORED_WEIGHTS, authored));
    }
    edit.annotations(managed.has_annotations, &set);
    let kind = match (flip, need) {
        (Some(flip), _) => Kind::Flip(flip.clone()),
        (None, Need::Traffic) => Kind::Correction,
        (None, _) => Kind::Record,
    };
    Write {
        key: key.clone(),
        uid: managed.uid.clone(),
        resource_version: managed.resource_version.clone(),
        patch: edit.into_patch(),
        weights: decision.weights.clone(),
        is_first: managed.state.is_none(),
        kind,
    }
}

/// A manager that applies meets a conflict with whoever owns `spec` beside it. Taking the claim
/// away works only in a write of its own.
fn disclaim(key: &ObjectKey, managed: &Managed) -> Option<Write> {
    let position = managed.owners.claim?;
    let mut edit = Edit::guarded_by(&managed.resource_version);
    edit.disclaim_spec(position);
    Some(Write {
        key: key.clone(),
        uid: managed.uid.clone(),
        resource_version: managed.resource_version.clone(),
        patch: edit.into_patch(),
        weights: vec![],
        is_first: false,
        kind: Kind::Disclaim,
    })
}

fn flip(
    managed: &Managed,
    intent: &Intent,
    decision: &Decision,
    health: &[Health],
) -> Option<Flip> {
    let before = match &managed.state {
        Some(state) => state.active.clone(),
        None => intent.carrying().iter().map(|i| intent.backends[*i].name.clone()).collect(),
    };
    let after = decision.names(intent);
    if before == after {
        return None;
    }
    let or_none = |names: &[String]| match names {
        [] => "no backend".to_owned(),
        names => names.join(", "),
    };
    let on_primary = decision.on_primary(intent);
    Some(Flip {
        on_primary,
        leaves_primary: !on_primary
            && decision.because != Because::Pinned
            && intent.primaries().any(|name| before.iter().any(|b| b == name)),
        note: format!(
            "Traffic of {} moved from {} to {}: {}",
            intent.apex,
            or_none(&before),
            or_none(&after),
            decision.explain(intent, health)
        ),
    })
}
