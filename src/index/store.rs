//! The index: facts by object, and from a Service to the objects that name it.

use crate::engine::Now;
use crate::engine::SteadyTime;
use crate::index::announced_pods::AnnouncedPods;
use crate::index::changed_services::ChangedServices;
use crate::index::cluster_settings::ClusterSettings;
use crate::index::common::Common;
use crate::index::down_facts::DeclaredCluster;
use crate::index::forbidden_namespaces::ForbiddenNamespaces;
use crate::index::grants::GrantFacts;
use crate::index::history::ServiceHistory;
use crate::index::managed_object::{Decider, ManagedObject};
use crate::index::namespace_facts::NamespaceTable;
use crate::index::order::Order;
use crate::index::profile_table::ProfileTable;
use crate::index::remote::linked_clusters::LinkedClusters;
use crate::index::service_facts::ServiceFacts;
use crate::index::slice_table::SliceTable;
use crate::index::synced::Synced;
use crate::kinds::linkerd::failfast::Failfast;
use crate::kinds::{Kind, ObjectKey, ObjectRef};
use std::collections::{BTreeMap, HashMap, HashSet};

/// All facts that decisions and reviews need.
#[derive(Debug, Default)]
pub(crate) struct Index {
    pub synced: Synced,
    /// The time of the present change, set by whoever changes the index.
    pub now: Now,
    /// Whether the Services that the present change concerns have more ready endpoints, and no other has
    /// changed; none where it concerns no Service.
    pub is_recovery: Option<bool>,
    pub cluster_wide: ClusterSettings,
    pub forbidden: ForbiddenNamespaces,
    /// The namespaces that are watched; empty: all.
    pub namespaces: Vec<String>,
    /// Boxed: a table reserves room for twice as many.
    pub(super) objects: HashMap<ObjectRef, Box<ManagedObject>>,
    /// By [`Kind`]: the version that the cluster serves and we read; none where it does not have the kind.
    served: [Option<&'static str>; Kind::ALL.len()],
    /// By [`Kind`].
    pub(super) orders: [Order; Kind::ALL.len()],
    /// Every Service of the cluster: admission reviews objects that are not in the index.
    pub(crate) services: HashMap<ObjectKey, ServiceFacts>,
    pub(crate) service_order: Order,
    pub(crate) profiles: ProfileTable,
    grants: BTreeMap<ObjectKey, GrantFacts>,
    /// The failfast timeout of callers' proxies, by Linkerd's values.
    pub failfast: Failfast,
    pub(super) namespace_table: NamespaceTable,
    /// The cluster does not have the kind ServiceProfile.
    pub no_profiles: bool,
    /// The facts of linked clusters.
    pub remote: LinkedClusters,
    /// Whether ServiceProfiles are written: then a change of one concerns its split.
    pub writes_profiles: bool,
    pub(crate) slices: SliceTable,
    /// The history of Services that objects name.
    pub(crate) past: HashMap<ObjectKey, ServiceHistory>,
    /// The linked clusters all of whose Services are declared down, by the Secret with their credentials.
    pub(super) clusters_down: HashMap<Box<str>, DeclaredCluster>,
    /// Grows when it may have changed what is declared down.
    pub(crate) declared_revision: u64,
    /// Services that have changed lately, and whose slices may follow.
    pub(crate) changes: ChangedServices,
    pub(crate) announced_pods: AnnouncedPods,
    /// The namespaces whose pods are all guarded.
    pub(super) guarded_namespaces: HashSet<Box<str>>,
    /// When each replica was last seen to move the traffic of an object.
    pub(super) moved: HashMap<Box<str>, SteadyTime>,
    /// The namespaces of all facts.
    pub(super) namespaces_of_facts: Common<str>,
    /// The replicas that objects record as theirs who decided.
    pub(super) deciders: Common<Decider>,
    /// From a Service to the objects that name it, in their order. Mostly there is one.
    pub(crate) named_by: HashMap<ObjectKey, Vec<ObjectRef>>,
}

impl Index {
    pub(crate) fn object(&self, key: &ObjectRef) -> Option<&ManagedObject> {
        self.objects.get(key).map(|managed| &**managed)
    }

    /// The object with its key, as the index holds both.
    pub(crate) fn object_entry(&self, key: &ObjectRef) -> Option<(&ObjectRef, &ManagedObject)> {
        self.objects.get_key_value(key).map(|(key, managed)| (key, &**managed))
    }

    pub(crate) fn objects(&self) -> impl ExactSizeIterator<Item = (&ObjectRef, &ManagedObject)> {
        self.objects.iter().map(|(key, managed)| (key, &**managed))
    }

    pub(crate) fn service(&self, key: &ObjectKey) -> Option<&ServiceFacts> {
        self.services.get(key)
    }

    pub(crate) fn services(&self) -> impl Iterator<Item = &ServiceFacts> {
        self.services.values()
    }

    /// The linked clusters that any Service mirrors.
    pub(crate) fn mirrored_clusters(&self) -> impl Iterator<Item = &str> {
        self.services.values().filter_map(|service| service.mirrors.as_deref())
    }

    /// The ReferenceGrants of a namespace.
    pub(crate) fn grants_in<'a>(
        &'a self,
        namespace: &'a str,
    ) -> impl Iterator<Item = &'a GrantFacts> {
        let grants = self.grants.iter().filter(move |(key, _)| *key.namespace == *namespace);
        grants.map(|(_, grant)| grant)
    }

    pub(crate) fn set_grant(&mut self, key: ObjectKey, grant: GrantFacts) {
        self.grants.insert(key, grant);
    }

    pub(crate) fn remove_grant(&mut self, key: &ObjectKey) {
        self.grants.remove(key);
    }

    pub(crate) fn grant_keys(&self) -> Vec<ObjectKey> {
        self.grants.keys().cloned().collect()
    }

    /// The names of the Services of a namespace.
    pub(crate) fn services_in<'a>(&'a self, namespace: &'a str) -> impl Iterator<Item = &'a str> {
        let keys = self.services.keys().filter(move |key| *key.namespace == *namespace);
        keys.map(|key| &*key.name)
    }

    /// Whether Services of a namespace are watched.
    pub(crate) fn watches(&self, namespace: &str) -> bool {
        self.namespaces.is_empty() || self.namespaces.iter().any(|n| n == namespace)
    }

    /// Replaces the cluster settings. Returns the objects that it concerns.
    pub(crate) fn set_cluster_wide(&mut self, settings: ClusterSettings) -> Vec<ObjectRef> {
        if self.cluster_wide == settings {
            return vec![];
        }
        self.cluster_wide = settings;
        self.object_refs()
    }

    /// The version of a kind that the cluster serves and we read; none where it does not have the kind.
    pub(crate) fn served(&self, kind: Kind) -> Option<&'static str> {
        self.served[kind as usize]
    }

    pub(crate) fn set_served(&mut self, kind: Kind, version: Option<&'static str>) {
        self.served[kind as usize] = version;
    }
}
