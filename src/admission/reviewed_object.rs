//! An object of a review, parsed once for the look-ups, the mutator and the validator.

use crate::admission::sent_object::SentObject;
use crate::engine::{Declaration, annotations};
use crate::kinds::Kind;
use crate::kinds::last_applied::last_applied;
use kube::ResourceExt;
use std::borrow::Cow;
use std::sync::OnceLock;

/// The old or the new object of a review.
pub(crate) struct ReviewedObject<'a> {
    pub object: &'a SentObject,
    /// As it was sent.
    pub declared: Declaration,
    /// None where that is the same.
    normalized: OnceLock<Option<Declaration>>,
    kind: Kind,
    manifest: OnceLock<Option<Declaration>>,
}

impl<'a> ReviewedObject<'a> {
    pub(crate) fn read(kind: Kind, object: &'a SentObject) -> Self {
        let declared = kind.read(object);
        Self { object, declared, normalized: OnceLock::new(), kind, manifest: OnceLock::new() }
    }

    /// As a stored object is read: [normalized](Declaration::normalized).
    pub(crate) fn normalized(&self) -> &Declaration {
        self.normalized_otherwise().unwrap_or(&self.declared)
    }

    /// The same, where it was sent otherwise.
    pub(crate) fn normalized_otherwise(&self) -> Option<&Declaration> {
        let normalized = || match self.declared.normalized() {
            Cow::Borrowed(_) => None,
            Cow::Owned(normalized) => Some(normalized),
        };
        self.normalized.get_or_init(normalized).as_ref()
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
