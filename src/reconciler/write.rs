//! A write of weights that is decided, as data.

use crate::engine::BySet;
use crate::kinds::ObjectRef;
use crate::reconciler::flip::Flip;
use json_patch::PatchOperation;

/// The backends that get the traffic, by name, of each set.
pub(crate) type ActiveBackends = BySet<Vec<String>>;

/// A write to one object.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Write {
    pub object: ObjectRef,
    /// The version of its kind.
    pub version: &'static str,
    pub uid: String,
    pub resource_version: String,
    pub patch: json_patch::Patch,
    /// The weights that it writes, set after set; none where it writes no weights.
    pub weights: Vec<u32>,
    /// The object does not have a state annotation yet, or has lost it.
    pub is_first: bool,
    /// It records weights that somebody wrote past the webhook; who, and which.
    pub edited: Option<String>,
    pub kind: WriteKind,
}

/// What a write is for.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum WriteKind {
    /// Traffic moves.
    Flip(Flip),
    /// Weights that others have changed are put right.
    Correction,
    /// What is known is recorded.
    Record,
    /// Our claim on `spec` is given up, so that those who apply it meet no conflict.
    Disclaim,
}

impl Write {
    /// The move of traffic that it makes, if it makes one.
    pub(crate) fn flip(&self) -> Option<&Flip> {
        match &self.kind {
            WriteKind::Flip(flip) => Some(flip),
            WriteKind::Correction | WriteKind::Record | WriteKind::Disclaim => None,
        }
    }

    /// Whether it changes weights, rather than what is known.
    pub(crate) fn changes_weights(&self) -> bool {
        matches!(self.kind, WriteKind::Flip(_) | WriteKind::Correction)
    }

    /// Whether an answer with this status means that somebody else wrote first. A patch that gives up our
    /// claim on `spec` answers 422, and not 409, where the claim is not in its place any more.
    pub(crate) fn is_conflict(&self, status: u16) -> bool {
        let removes = |edit: &PatchOperation| matches!(edit, PatchOperation::Remove(_));
        status == 409 || status == 422 && self.patch.0.iter().any(removes)
    }

    /// Whether traffic leaves a primary that is lost.
    pub(crate) fn leaves_primary(&self) -> bool {
        self.flip().is_some_and(|flip| flip.lost().next().is_some())
    }

    /// Whether the brake counts it: traffic leaves a primary that is lost, and no person has said so.
    pub(crate) fn is_unasked_loss(&self) -> bool {
        self.flip().is_some_and(|flip| flip.unasked().next().is_some())
    }

    /// Whether another writer may have caused it, and may cause it again. A move of an object that
    /// has our state is our own.
    pub(crate) fn may_be_overwritten(&self) -> bool {
        self.changes_weights() && (self.kind == WriteKind::Correction || self.is_first)
    }
}
