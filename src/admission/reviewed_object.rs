//! An object of a review, parsed once for the look-ups, the mutator and the validator.

use crate::engine::{Declaration, annotations};
use crate::kinds::Kind;
use crate::kinds::last_applied::last_applied;
use kube::ResourceExt;
use kube::core::DynamicObject;
use std::sync::OnceLock;

/// The old or the new object of a review.
pub(crate) struct ReviewedObject<'a> {
    pub object: &'a DynamicObject,
    /// As it was sent; see [`Declaration::normalized`] for how a stored object is read.
    pub declared: Declaration,
    kind: Kind,
    manifest: OnceLock<Option<Declaration>>,
}

impl<'a> ReviewedObject<'a> {
    pub(crate) fn read(kind: Kind, object: &'a DynamicObject) -> Self {
        Self { object, declared: kind.read(object), kind, manifest: OnceLock::new() }
    }

    /// The manifest that `kubectl apply` left in the object, where it can be read.
    pub(crate) fn manifest(&self) -> Option<&Declaration> {
        self.manifest.get_or_init(|| last_applied(self.kind, self.object)).as_ref()
    }

    /// The same, where it came with this update of `old`.
    pub(crate) fn manifest_applied_over(&self, old: &Self) -> Option<&Declaration> {
        let text = |object: &Self| object.object.annotations().get(annotations::LAST_APPLIED);
        (text(self) != text(old)).then(|| self.manifest())?
    }

    pub(crate) fn is_being_deleted(&self) -> bool {
        self.object.metadata.deletion_timestamp.is_some()
    }
}
