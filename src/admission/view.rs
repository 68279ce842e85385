//! What admission sees of the cluster while it judges one request.

use crate::cluster::Index;
use crate::failover::{Declaration, Defaults, Health, Identity, Intent, Now, Problem, Unknown};
use crate::resources::ObjectKey;
use crate::resources::selector::LabelSelector;
use kube::ResourceExt;
use kube::core::DynamicObject;
use std::collections::HashMap;

/// Whether a Service is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Presence {
    Exists,
    Missing,
    /// The API server could not be asked.
    NotKnown,
}

/// Services that the cache did not have, as the API server answered for them.
pub type LookedUp = HashMap<String, Presence>;

/// The facts for one request.
pub struct View<'a> {
    pub index: &'a Index,
    pub looked_up: &'a LookedUp,
    pub selector: &'a LabelSelector,
    pub namespace: &'a str,
    /// What holds where an author says nothing.
    pub defaults: &'a Defaults,
    /// The replica that answers.
    pub me: &'a Identity,
    pub now: Now,
}

impl View<'_> {
    /// Whether an object is managed by us: an `objectSelector` matches where either the old or
    /// the new object does.
    pub fn manages(&self, object: &DynamicObject) -> bool {
        self.selector.matches(object.labels())
    }

    pub fn intent(&self, declared: &Declaration) -> Result<Intent, Vec<Problem>> {
        Intent::parse(declared, self.defaults)
    }

    pub fn presence(&self, service: &str) -> Presence {
        if self.index.service(&ObjectKey::new(self.namespace, service)).is_some() {
            return Presence::Exists;
        }
        self.looked_up.get(service).copied().unwrap_or(Presence::NotKnown)
    }

    /// The health of each backend; what the caches have not seen yet is unknown, not down.
    pub fn health(&self, intent: &Intent) -> Vec<Health> {
        let mut health = self.index.health(self.namespace, intent, self.now.steady);
        let whole = self.index.synced.all() && !self.index.forbidden.has(self.namespace);
        for (health, backend) in health.iter_mut().zip(&intent.backends) {
            let unseen =
                *health == Health::Missing && self.presence(&backend.name) != Presence::Missing;
            if unseen || !whole {
                *health = Health::Unknown(Unknown::NotYet);
            }
        }
        health
    }
}
