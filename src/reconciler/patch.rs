//! The patch that makes decisions true of an object, in one write.

use crate::engine::{AuthoredWeights, BySet, Identity, Now, State, WriteNeed, annotations};
use crate::index::managed_object::{ManagedObject, ManagedSet};
use crate::index::store::Index;
use crate::kinds::{Edit, ObjectRef};
use crate::reconciler::flip::Flip;
use crate::reconciler::set_decision::SetDecision;
use crate::reconciler::write::{Write, WriteKind};
use jiff::Timestamp;

/// An object that is there, and what a write of it is made from.
#[derive(Clone, Copy)]
pub(crate) struct PatchSource<'a> {
    pub index: &'a Index,
    pub object: &'a ObjectRef,
    /// The version in which its kind is served.
    pub version: &'static str,
    pub managed: &'a ManagedObject,
    pub me: &'a Identity,
    pub now: Now,
}

impl PatchSource<'_> {
    /// The write of weights and state by these decisions. `nothing_ready`: since when sets have
    /// nothing ready, as it was reported.
    pub(crate) fn write(
        &self,
        decided: &[SetDecision<'_>],
        need: WriteNeed,
        nothing_ready: &BySet<Timestamp>,
    ) -> Write {
        let managed = self.managed;
        let mut edit = Edit::guarded_by(&managed.resource_version);
        let mut weights = vec![];
        for SetDecision { set, decision, .. } in decided {
            // The weights of a set with one backend are compared, and not written.
            weights.extend(&decision.weights);
            if set.intent.is_alone() {
                continue;
            }
            for (entry, weight) in set.intent.by_entry(&decision.weights).into_iter().enumerate() {
                edit.weight(&set.intent.path.index(entry), weight);
            }
        }
        edit.annotations(managed.has_annotations, &self.annotations(decided, nothing_ready));
        let flips = decided.iter().filter_map(|d| d.flip.clone()).collect();
        let kind = match Flip::of(flips, managed.readable().len()) {
            Some(flip) => WriteKind::Flip(flip),
            None if need == WriteNeed::Traffic => WriteKind::Correction,
            None => WriteKind::Record,
        };
        Write {
            weights,
            is_first: !managed.has_state(),
            edited: managed.edited_by.as_ref().map(|by| edited(by, managed)),
            ..self.patched(edit, kind)
        }
    }

    /// The write that gives up our claim on `spec`; none where there is no claim.
    ///
    /// A manager that applies meets a conflict with whoever owns `spec` beside it, also the first time
    /// it applies. Taking a claim away works only in a write of its own.
    pub(crate) fn disclaim(&self) -> Option<Write> {
        let claims = &self.managed.owners.claims;
        if claims.is_empty() {
            return None;
        }
        let mut edit = Edit::guarded_by(&self.managed.resource_version);
        for position in claims {
            edit.disclaim_spec(*position);
        }
        Some(self.patched(edit, WriteKind::Disclaim))
    }

    fn patched(&self, edit: Edit, kind: WriteKind) -> Write {
        Write {
            object: self.object.clone(),
            version: self.version,
            uid: self.managed.uid.clone(),
            resource_version: self.managed.resource_version.clone(),
            patch: edit.into_patch(),
            weights: vec![],
            is_first: false,
            edited: None,
            kind,
        }
    }

    /// Our annotations: the state, and the author's weights where they are not recorded yet.
    fn annotations(
        &self,
        decided: &[SetDecision<'_>],
        nothing_ready: &BySet<Timestamp>,
    ) -> Vec<(&'static str, String)> {
        let managed = self.managed;
        let state = self.state(decided, nothing_ready);
        let mut set = vec![(annotations::STATE, state.to_annotation())];
        if !managed.authored_recorded {
            let sets = managed.readable().iter().filter(|set| !set.intent.is_alone());
            let authored =
                sets.map(|set| (set.intent.set.clone(), set.intent.authored())).collect();
            let authored = AuthoredWeights::new(authored).written(managed.written.clone());
            set.push((annotations::AUTHORED_WEIGHTS, authored.to_annotation()));
        }
        set
    }

    fn state(&self, decided: &[SetDecision<'_>], nothing_ready: &BySet<Timestamp>) -> State {
        let (managed, now) = (self.managed, self.now);
        // Sets that this write leaves alone keep their state.
        let mut states: BySet<_> = managed
            .readable()
            .iter()
            .filter_map(|set| {
                let mut state = set.state.clone()?;
                state.pending = now.to_wall(&set.pending);
                Some((set.intent.set.clone(), state))
            })
            .collect();
        for SetDecision { set, health, decision, .. } in decided {
            let intent = &set.intent;
            if !intent.is_alone() {
                let mut state = decision.state(intent, health, now);
                state.nothing_ready = nothing_ready.get(&intent.set).copied();
                states.insert(intent.set.clone(), state);
            }
        }
        let mut state = State::new(self.me, states);
        state.defaulted_primary = managed.defaulted_primary.as_deref().map(str::to_owned);
        let is_early = decided.iter().any(|d| !d.decision.left_early.is_empty());
        state.announced_pods = self.index.leaving_to_record(self.object, managed, is_early, now);
        state
    }
}

/// Which weights somebody wrote past the webhook, in words.
fn edited(by: &str, managed: &ManagedObject) -> String {
    let of_set = |set: &ManagedSet| {
        let weights = set.intent.backends.iter().map(|b| format!("{} {}", b.name, b.authored));
        let weights = weights.collect::<Vec<_>>().join(", ");
        match set.intent.set.as_str() {
            "" => weights,
            rule => format!("rule {rule}: {weights}"),
        }
    };
    let weights: Vec<String> = managed.readable().iter().map(of_set).collect();
    format!(
        "{by} wrote weights past the webhook. The author's weights are from now on {}",
        weights.join("; ")
    )
}
