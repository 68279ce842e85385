//! The scope of one watch: the whole cluster, or one of the namespaces that the program is limited to.

use crate::kinds::ObjectKey;
use k8s_openapi::NamespaceResourceScope;
use kube::core::{ApiResource, DynamicObject};
use kube::{Api, Client, Resource};
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

/// What one watch of a kind covers.
#[derive(Clone)]
pub(crate) struct WatchScope {
    namespace: Option<String>,
    position: usize,
    /// Of each scope of the kind, whether its facts are complete.
    synced: Arc<Mutex<Vec<bool>>>,
}

impl WatchScope {
    /// The whole cluster.
    pub(crate) fn everything() -> Self {
        Self { namespace: None, position: 0, synced: Arc::new(Mutex::new(vec![false])) }
    }

    /// One scope for each namespace; without any, the whole cluster.
    pub(crate) fn each(namespaces: &[String]) -> Vec<Self> {
        let synced = Arc::new(Mutex::new(vec![false; namespaces.len()]));
        let scope = |(position, namespace): (usize, &String)| Self {
            namespace: Some(namespace.clone()),
            position,
            synced: synced.clone(),
        };
        match namespaces {
            [] => vec![Self::everything()],
            some => some.iter().enumerate().map(scope).collect(),
        }
    }

    pub(crate) fn namespace(&self) -> Option<&str> {
        self.namespace.as_deref()
    }

    pub(crate) fn covers(&self, key: &ObjectKey) -> bool {
        self.namespace.as_ref().is_none_or(|namespace| **namespace == *key.namespace)
    }

    /// Notes whether the facts of this scope are complete. Returns whether those of all scopes are.
    pub(crate) fn set_synced(&self, is_synced: bool) -> bool {
        let mut synced = self.synced.lock().unwrap_or_else(PoisonError::into_inner);
        synced[self.position] = is_synced;
        synced.iter().all(|synced| *synced)
    }

    /// Of a kind that is only known at run time.
    pub(crate) fn dynamic_api(&self, client: &Client, kind: &ApiResource) -> Api<DynamicObject> {
        match &self.namespace {
            Some(namespace) => Api::namespaced_with(client.clone(), namespace, kind),
            None => Api::all_with(client.clone(), kind),
        }
    }

    pub(crate) fn api<K>(&self, client: &Client) -> Api<K>
    where
        K: Resource<Scope = NamespaceResourceScope, DynamicType = ()>,
    {
        match &self.namespace {
            Some(namespace) => Api::namespaced(client.clone(), namespace),
            None => Api::all(client.clone()),
        }
    }
}

/// Namespaces, of those that we are limited to, in which a kind may not be read: one that is gone
/// has no Role of ours either. Nothing is decided there, and the others go on.
#[derive(Debug, Default)]
pub(crate) struct ForbiddenNamespaces(BTreeSet<(String, &'static str)>);

impl ForbiddenNamespaces {
    /// Notes whether a kind may be read in a namespace. Returns whether that is news.
    pub(crate) fn note(&mut self, namespace: &str, kind: &'static str, forbidden: bool) -> bool {
        let entry = (namespace.to_owned(), kind);
        if forbidden { self.0.insert(entry) } else { self.0.remove(&entry) }
    }

    pub(crate) fn has(&self, namespace: &str) -> bool {
        self.0.iter().any(|(found, _)| found == namespace)
    }

    /// How many namespaces.
    pub(crate) fn len(&self) -> usize {
        let namespaces: BTreeSet<_> = self.0.iter().map(|(namespace, _)| namespace).collect();
        namespaces.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kind_is_synced_once_each_of_its_scopes_is() {
        let scopes = WatchScope::each(&["a".into(), "b".into()]);
        assert!(!scopes[0].set_synced(true));
        assert!(scopes[1].set_synced(true));
        assert!(!scopes[0].set_synced(false));
        assert!(scopes[0].covers(&ObjectKey::new("a", "x")));
        assert!(!scopes[0].covers(&ObjectKey::new("b", "x")));
    }

    #[test]
    fn without_namespaces_one_scope_covers_everything() {
        let scopes = WatchScope::each(&[]);
        assert_eq!(scopes.len(), 1);
        assert!(scopes[0].covers(&ObjectKey::new("a", "x")));
        assert!(scopes[0].set_synced(true));
    }

    #[test]
    fn a_namespace_is_forbidden_until_its_last_kind_may_be_read() {
        let mut forbidden = ForbiddenNamespaces::default();
        assert!(forbidden.note("a", "services", true));
        assert!(!forbidden.note("a", "services", true));
        assert!(forbidden.note("a", "endpointslices", true));
        assert!(forbidden.has("a") && !forbidden.has("b") && !forbidden.has(""));
        assert_eq!(forbidden.len(), 1);
        forbidden.note("a", "services", false);
        assert!(forbidden.has("a"));
        forbidden.note("a", "endpointslices", false);
        assert!(!forbidden.has("a"));
    }
}
