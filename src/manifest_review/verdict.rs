//! The verdict of the webhook on a failover object: mutation, then validation of what that makes.

use super::entry::Entry;
use super::known_world::KnownWorld;
use super::settings::ReviewSettings;
use crate::admission::reviewed_object::ReviewedObject;
use crate::admission::sent_object::SentObject;
use crate::admission::validate::{self, Validation};
use crate::admission::view::{FactSource, LiveLookups, SeenServices, View};
use crate::admission::{lookup, mutate};
use crate::engine::{Declaration, Defaults, Identity, annotations};
use crate::kinds::Kind;
use kube::core::DynamicObject;
use serde_json::Value;

/// What the webhook answers to a new object.
#[derive(Default)]
pub(super) struct Verdict {
    /// What is done to it.
    pub notes: Vec<String>,
    pub validation: Validation,
    /// The object as it is stored, where it is admitted.
    pub admitted: Option<DynamicObject>,
    /// Whether it names its own protection, so that its namespace has no say.
    pub names_protection: bool,
}

/// A failover object under review.
pub(super) struct ObjectUnderReview<'a> {
    pub kind: Kind,
    pub entry: &'a Entry,
    pub world: &'a KnownWorld,
    pub settings: &'a ReviewSettings,
    /// Who decides, in the state that is recorded.
    pub me: &'a Identity,
}

impl ObjectUnderReview<'_> {
    pub(super) fn verdict(&self, sent: &SentObject) -> Verdict {
        let new = ReviewedObject::read(self.kind, sent);
        let mutation = self.with_view(&new.declared, |view| mutate::mutate(None, &new, view));
        let names_protection = new.declared.annotations.contains_key(annotations::PROTECTION);
        let verdict = Verdict { notes: mutation.notes, names_protection, ..Verdict::default() };
        let mut object = self.entry.object.clone();
        // A patch of ours fits the object that it is made of, and makes one that can be read.
        let patched = json_patch::patch(&mut object, &mutation.edit.into_patch()).is_ok();
        match self.stored(object).filter(|_| patched) {
            Some(stored) => self.validated(verdict, &stored),
            None => self.validated(verdict, sent),
        }
    }

    fn stored(&self, object: Value) -> Option<SentObject> {
        serde_json::from_value(object).ok()
    }

    fn validated(&self, verdict: Verdict, stored: &SentObject) -> Verdict {
        let new = ReviewedObject::read(self.kind, stored);
        let validation = self.with_view(&new.declared, |view| validate::validate(None, &new, view));
        let admitted = validation.errors.is_empty().then(|| (**stored).clone());
        Verdict { validation, admitted, ..verdict }
    }

    /// Runs a function with a view of what is known.
    fn with_view<T>(&self, declared: &Declaration, run: impl FnOnce(&View<'_>) -> T) -> T {
        let namespace = self.entry.namespace();
        let looked_up: LiveLookups = self.world.look_up(namespace, lookup::named(declared));
        run(&View {
            facts: FactSource::Shared(&self.world.shared),
            looked_up: &looked_up,
            selector: &self.settings.selector,
            kind: self.kind,
            takes_text: self.entry.text("/apiVersion").ends_with("/v1alpha1"),
            namespace,
            rules: &self.settings.rules,
            defaults: self.defaults(),
            manager: None,
            dry_run: false,
            me: self.me,
            now: self.world.now,
            services: SeenServices::default(),
        })
    }

    /// The policy of an object of this namespace without annotations.
    pub(super) fn defaults(&self) -> Defaults {
        let index = self.world.shared.read();
        let namespace_protection = index.namespace_default(self.entry.namespace());
        Defaults { namespace_protection, ..self.settings.defaults }
    }
}
