//! The scope of one watch: the cluster, or one of the namespaces that the program is limited to.

use crate::kinds::ObjectKey;
use k8s_openapi::NamespaceResourceScope;
use kube::core::{ApiResource, DynamicResourceScope};
use kube::{Api, Client, Resource};
use std::sync::{Arc, Mutex, PoisonError};

/// What one watch of a kind covers.
#[derive(Clone)]
pub(crate) struct WatchScope {
    namespace: Option<String>,
    position: usize,
    /// Whether the facts of each scope of the kind are complete.
    synced: Arc<Mutex<Vec<bool>>>,
}

impl WatchScope {
    /// The cluster.
    pub(crate) fn everything() -> Self {
        Self { namespace: None, position: 0, synced: Arc::new(Mutex::new(vec![false])) }
    }

    /// One scope for each namespace; without any, the cluster.
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

    /// Records whether the facts of this scope are complete. Returns whether those of all scopes are.
    pub(crate) fn set_synced(&self, is_synced: bool) -> bool {
        let mut synced = self.synced.lock().unwrap_or_else(PoisonError::into_inner);
        synced[self.position] = is_synced;
        synced.iter().all(|synced| *synced)
    }

    /// The API of a kind that is only known at run time, as far as the scope reaches.
    pub(crate) fn dynamic_api<K>(&self, client: &Client, kind: &ApiResource) -> Api<K>
    where
        K: Resource<Scope = DynamicResourceScope, DynamicType = ApiResource>,
    {
        match &self.namespace {
            Some(namespace) => Api::namespaced_with(client.clone(), namespace, kind),
            None => Api::all_with(client.clone(), kind),
        }
    }

    /// The API of a kind, as far as the scope reaches.
    pub(crate) fn api<K>(&self, client: &Client) -> Api<K>
    where
        K: Resource<Scope = NamespaceResourceScope, DynamicType = ()>,
    {
        api_in(self.namespace(), client)
    }
}

/// The API of a kind in one namespace; without one, in all.
pub(super) fn api_in<K>(namespace: Option<&str>, client: &Client) -> Api<K>
where
    K: Resource<Scope = NamespaceResourceScope, DynamicType = ()>,
{
    match namespace {
        Some(namespace) => Api::namespaced(client.clone(), namespace),
        None => Api::all(client.clone()),
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
}
