//! What is known of the world: the objects of the input, over those of a cluster where one is asked.

use super::entry::{Entry, EntryKind};
use crate::admission::view::{LiveLookups, Lookup};
use crate::engine::{NamespaceDefault, Now, Problem};
use crate::index::grants::GrantFacts;
use crate::index::managed_object::ManagedObject;
use crate::index::namespace_facts::NamespaceProtection;
use crate::index::order::Arrival;
use crate::index::profile_facts::ProfileFacts;
use crate::index::resource::WatchedResource;
use crate::index::service_facts::ServiceFacts;
use crate::index::shared_index::SharedIndex;
use crate::index::store::Index;
use crate::kinds::linkerd::failfast::{Failfast, NotKnown};
use crate::kinds::partial::{PartialNamespace, PartialObject, PartialService};
use crate::kinds::{ObjectKey, ObjectRef};
use crate::manifests::malformed;
use std::collections::BTreeSet;

/// What is known of the world.
pub(crate) struct KnownWorld {
    pub(super) shared: SharedIndex,
    /// When it was known.
    pub(super) now: Now,
    /// What could not be read of the cluster that was asked; none: none was.
    pub(super) gaps: Option<Vec<String>>,
}

impl KnownWorld {
    /// Nothing.
    pub(crate) fn empty() -> Self {
        let (shared, _) = SharedIndex::new();
        shared.update(|index| {
            index.failfast = Failfast::NotKnown(NotKnown {
                why: "no cluster is asked".into(),
                line: "linkerd-failover validate --live reads it".into(),
            });
            vec![]
        });
        Self { now: shared.now(), shared, gaps: None }
    }

    /// What was listed of a cluster, and what could not be.
    pub(crate) fn of_cluster(listed: Index, now: Now, gaps: Vec<String>) -> Self {
        let (shared, _) = SharedIndex::new();
        shared.update(|index| {
            *index = listed;
            vec![]
        });
        Self { shared, now, gaps: Some(gaps) }
    }

    /// Enters an object of the input, other than a failover object. An error is what cannot be read of it.
    pub(super) fn enter(&mut self, entry: &Entry) -> Result<(), Problem> {
        let key = ObjectKey::new(entry.namespace(), entry.name());
        match entry.kind {
            EntryKind::Service => {
                let service: PartialService = malformed::read(&entry.object)?;
                let facts = ServiceFacts::read(&service);
                self.change(|index| index.enter_service(key, 0, facts, Arrival::Listed));
            }
            EntryKind::Namespace => {
                let namespace: PartialNamespace = malformed::read(&entry.object)?;
                let protection = NamespaceProtection::read(&namespace);
                self.change(|index| {
                    index.namespaces_listed(Some(entry.name()));
                    index.set_namespace(entry.name(), protection)
                });
            }
            EntryKind::ServiceProfile => {
                let profile: PartialObject = malformed::read(&entry.object)?;
                let facts = ProfileFacts::read(&profile);
                self.change(|index| index.enter_profile(key, facts, Arrival::Listed));
            }
            EntryKind::ReferenceGrant => {
                let grant: PartialObject = malformed::read(&entry.object)?;
                self.change(|index| index.set_grant(key, GrantFacts::read(&grant)));
            }
            EntryKind::Failover(_)
            | EntryKind::OtherGroup(_)
            | EntryKind::NoKind(_)
            | EntryKind::PolicyRoute
            | EntryKind::Secret => {}
        }
        Ok(())
    }

    /// Enters a failover object of the input.
    pub(super) fn enter_object(&self, key: ObjectRef, object: ManagedObject) {
        self.change(|index| index.enter_object(key, object, Arrival::Listed));
    }

    pub(super) fn change<T>(&self, change: impl FnOnce(&mut Index) -> T) {
        self.shared.update(|index| {
            change(index);
            vec![]
        });
    }

    /// What a look-up of these Services answers: one that is not known may exist, where not all are.
    pub(super) fn look_up(&self, namespace: &str, names: BTreeSet<String>) -> LiveLookups {
        let index = self.shared.read();
        let is_complete = index.synced.has(WatchedResource::Services);
        let missing = names
            .into_iter()
            .filter(|name| index.service(&ObjectKey::within(namespace, name)).is_none());
        let answer = if is_complete { Lookup::Missing } else { Lookup::NotKnown };
        missing.map(|name| (name, answer.clone())).collect()
    }

    /// Whether it is known what protection a namespace asks for.
    pub(super) fn knows_namespace(&self, namespace: &str) -> bool {
        self.shared.read().namespace_default(namespace) != NamespaceDefault::NotKnown
    }
}
