//! What a rule of admission is, and what it sees of a review.

use crate::admission::previous::PreviousObject;
use crate::admission::reviewed_object::ReviewedObject;
use crate::admission::view::View;
use crate::engine::{Declaration, Health, Intent, Problem, annotations};
use crate::kinds::{ObjectKey, ObjectRef};
use kube::ResourceExt;

/// A rule of admission.
pub(crate) struct Rule {
    /// The name of its file, for logs.
    pub name: &'static str,
    pub check: Check,
}

/// The subject of a rule. An error denies the object, a warning does not.
#[derive(Clone, Copy)]
pub(crate) enum Check {
    /// An object by itself, the new one and the old one: a preexisting error becomes a warning, so that a
    /// fix is never blocked.
    Object(fn(&ReviewedObject<'_>, &View<'_>) -> Vec<Problem>),
    /// The new object, beside the old one.
    Review(fn(&ObjectReview<'_>) -> Vec<Problem>),
    /// One set of the new object. Problems that several sets have alike are reported once.
    Set(fn(&SetReview<'_>) -> Vec<Problem>),
}

/// The review of a managed object.
pub(crate) struct ObjectReview<'a> {
    pub view: &'a View<'a>,
    /// The object before the edit, where it was managed.
    pub old: Option<&'a ReviewedObject<'a>>,
    pub new: &'a ReviewedObject<'a>,
    /// The new declaration, [normalized](Declaration::normalized).
    pub normalized: &'a Declaration,
    /// What is known of the old object, by the sets of the new one.
    pub previous: Option<PreviousObject>,
    /// By set; none where the object cannot be read.
    pub intents: Vec<Intent>,
}

impl<'a> ObjectReview<'a> {
    pub(crate) fn new(
        old: Option<&'a ReviewedObject<'a>>,
        new: &'a ReviewedObject<'a>,
        intents: Vec<Intent>,
        view: &'a View<'a>,
    ) -> Self {
        let normalized = new.normalized();
        let previous = old.map(|old| PreviousObject::before(old.normalized(), normalized));
        Self { view, old, new, normalized, previous, intents }
    }

    pub(crate) fn is_readable(&self) -> bool {
        !self.intents.is_empty()
    }

    /// Whether the object is paused: then the weights of its author take effect.
    pub(crate) fn is_paused(&self) -> bool {
        self.intents.iter().any(|intent| intent.policy.paused_at(self.view.now.wall))
    }

    /// What is found of the new object and not of the old one, of which it was reported before. Where other
    /// annotations were added for its protection, the object is protected in another way than before, and all of
    /// it is news.
    pub(crate) fn newly_found<T: PartialEq>(
        &self,
        of: impl Fn(&ReviewedObject<'_>, &[Intent]) -> Vec<T>,
    ) -> Vec<T> {
        let mut found = of(self.new, &self.intents);
        let added = |object: &ReviewedObject<'a>| {
            object.declared.annotations.get(annotations::ADDED).cloned()
        };
        if found.is_empty() {
            return found;
        }
        if let Some(old) = self.old.filter(|old| added(old) == added(self.new)) {
            let before = of(old, &self.view.read(&old.declared).intents);
            found.retain(|one| !before.contains(one));
        }
        found
    }

    pub(crate) fn object_ref(&self) -> ObjectRef {
        let name = self.new.object.name_any();
        ObjectRef::new(self.view.kind, ObjectKey::new(self.view.namespace, name))
    }
}

/// The review of one set of a managed object.
pub(crate) struct SetReview<'a> {
    pub view: &'a View<'a>,
    pub object: &'a ObjectRef,
    pub intent: &'a Intent,
    /// By backend.
    pub health: &'a [Health],
}
