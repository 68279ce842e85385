//! The view of the cluster during one review.

use crate::engine::{
    BackendIndex, Declaration, Defaults, FieldPath, Health, Identity, Intent, Now, Problem,
    Reading, Unknown, service_of,
};
use crate::index::service_facts::ServiceFacts;
use crate::index::shared_index::SharedIndex;
use crate::index::store::Index;
use crate::kinds::retries::{ParentRetries, RetrySetting};
use crate::kinds::selector::LabelSelector;
use crate::kinds::{Kind, ObjectKey};
use kube::ResourceExt;
use kube::core::DynamicObject;
#[cfg(test)]
use std::cell::Cell;
use std::cell::RefCell;
use std::collections::HashMap;
use std::ops::Deref;
use std::rc::Rc;
use std::sync::RwLockReadGuard;

/// Whether a Service exists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Presence {
    Exists,
    Missing,
    /// The API server could not be asked.
    NotKnown,
}

/// A Service that the cache did not have, as the API server answered for it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Lookup {
    Found(ServiceFacts),
    Missing,
    /// The API server could not be asked.
    NotKnown,
}

/// All look-ups, by name.
pub(crate) type LiveLookups = HashMap<String, Lookup>;

/// How an object is answered that names a Service which does not exist.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum MissingBackends {
    #[default]
    Deny,
    Warn,
}

/// The settings of the rules.
#[derive(Clone, Debug, Default)]
pub(crate) struct Rules {
    pub missing_backends: MissingBackends,
    /// Linked clusters without a mirror yet.
    pub linked_clusters: Vec<String>,
}

/// The source of facts. The index is locked for one look-up at a time, so that no review delays a flip.
#[derive(Clone, Copy)]
pub(crate) enum FactSource<'a> {
    Shared(&'a SharedIndex),
    /// One that nothing else changes.
    Owned(&'a Index),
    /// An index of a test, which panics where it is locked twice.
    #[cfg(test)]
    Own(&'a Index, &'a Cell<bool>),
}

/// A read lock on the index. A second one in the same thread could block on a writer that waits for the
/// first.
pub(crate) enum IndexGuard<'a> {
    Locked(RwLockReadGuard<'a, Index>),
    Owned(&'a Index),
    #[cfg(test)]
    Own {
        index: &'a Index,
        _look: OneLook<'a>,
    },
}

/// Asserts that there is one lock at a time.
#[cfg(test)]
pub(crate) struct OneLook<'a>(&'a Cell<bool>);

#[cfg(test)]
impl Drop for OneLook<'_> {
    fn drop(&mut self) {
        self.0.set(false);
    }
}

impl Deref for IndexGuard<'_> {
    type Target = Index;

    fn deref(&self) -> &Index {
        match self {
            Self::Locked(index) => index,
            Self::Owned(index) => index,
            #[cfg(test)]
            Self::Own { index, .. } => index,
        }
    }
}

/// The facts for one request.
pub(crate) struct View<'a> {
    pub facts: FactSource<'a>,
    pub looked_up: &'a LiveLookups,
    pub selector: &'a LabelSelector,
    /// Of the object.
    pub kind: Kind,
    /// Whether the version that was sent allows weights as text, `900m`.
    pub takes_text: bool,
    pub namespace: &'a str,
    pub rules: &'a Rules,
    /// The policy of an object without annotations.
    pub defaults: Defaults,
    /// The field manager of the request, where it has one.
    pub manager: Option<&'a str>,
    /// Whether nothing of the request is stored.
    pub dry_run: bool,
    /// This replica.
    pub me: &'a Identity,
    pub now: Now,
    pub services: SeenServices,
}

/// The Services that have been asked for, as they were then.
#[derive(Default)]
pub(crate) struct SeenServices(RefCell<HashMap<String, Option<Rc<ServiceFacts>>>>);

impl View<'_> {
    /// Locks the index; to be dropped before the next lock.
    pub(crate) fn index(&self) -> IndexGuard<'_> {
        match self.facts {
            FactSource::Shared(shared) => IndexGuard::Locked(shared.read()),
            FactSource::Owned(index) => IndexGuard::Owned(index),
            #[cfg(test)]
            FactSource::Own(index, looking) => {
                assert!(!looking.replace(true), "the index is locked twice");
                IndexGuard::Own { index, _look: OneLook(looking) }
            }
        }
    }

    /// Whether an object is managed. A webhook is also called where only the old object is.
    pub(crate) fn manages(&self, object: &DynamicObject) -> bool {
        self.selector.matches(object.labels())
    }

    /// The intents of a new object, which is read strictly.
    pub(crate) fn intents(&self, declared: &Declaration) -> Result<Vec<Intent>, Vec<Problem>> {
        self.read(declared).strictly()
    }

    /// The intents that can be read of an object, and its problems.
    pub(crate) fn read(&self, declared: &Declaration) -> Reading {
        Intent::read(declared, &self.defaults)
    }

    pub(crate) fn presence(&self, backend: &str) -> Presence {
        let service = service_of(backend);
        match self.looked_up.get(service) {
            _ if self.service(service).is_some() => Presence::Exists,
            Some(Lookup::Missing) => Presence::Missing,
            _ => Presence::NotKnown,
        }
    }

    /// A Service, as the object names it, as it was looked up, or from the cache.
    pub(crate) fn service(&self, backend: &str) -> Option<Rc<ServiceFacts>> {
        let name = service_of(backend);
        if let Some(seen) = self.services.0.borrow().get(name) {
            return seen.clone();
        }
        let service = match self.looked_up.get(name) {
            Some(Lookup::Found(service)) => Some(service.clone()),
            Some(Lookup::Missing) => None,
            _ => self.index().service(&self.key_of(name)).cloned(),
        };
        let service = service.map(Rc::new);
        self.services.0.borrow_mut().insert(name.to_owned(), service.clone());
        service
    }

    /// The retries of the Services that a route is for.
    pub(crate) fn parent_retries(&self, declared: &Declaration) -> ParentRetries {
        ParentRetries::of(declared.apexes.iter().map(|apex| {
            let retries = match self.service(apex) {
                Some(service) => Some(service.retries),
                None if self.presence(apex) == Presence::Missing => Some(RetrySetting::None),
                None => None,
            };
            (apex, retries)
        }))
    }

    /// Field path of the apex.
    pub(crate) fn apex_field(&self) -> &'static str {
        self.kind.shape().apex
    }

    /// Field path of a backend's name.
    pub(crate) fn name_field(&self, intent: &Intent, backend: BackendIndex) -> FieldPath {
        intent.path.index(intent.backends[backend].entry).field(self.kind.shape().name)
    }

    /// A Service that the object names.
    pub(crate) fn key_of(&self, service: &str) -> ObjectKey {
        ObjectKey::within(self.namespace, service)
    }

    /// The health of each backend; without complete caches it is unknown, not down. Announcements are for
    /// the reconciler alone, which also reverts them.
    pub(crate) fn health(&self, intent: &Intent) -> Vec<Health> {
        let (mut health, complete) = {
            let index = self.index();
            let health = index.health(self.namespace, intent, self.now);
            (health, index.synced.all() && !index.forbidden.has(self.namespace))
        };
        let backends = intent.backends.iter().zip(&mut health);
        for (backend, health) in backends.filter(|(backend, _)| backend.fault.is_none()) {
            *health = health.as_seen();
            let unseen =
                *health == Health::Missing && self.presence(&backend.name) != Presence::Missing;
            if unseen || !complete {
                *health = Health::Unknown(Unknown::NotYet);
            }
        }
        health
    }
}
