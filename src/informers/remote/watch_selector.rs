//! What one watch of a linked cluster selects: the slices of the requested Services, or those Services.

use crate::index::endpoints::SERVICE_NAME;
use crate::informers::watch_scope::api_in;
use crate::kinds::ObjectKey;
use k8s_openapi::NamespaceResourceScope;
use kube::{Api, Client, Resource};
use std::collections::BTreeSet;

/// The longest selector: not every proxy on the way accepts a longer URL.
const LONGEST: usize = 4 * 1024;

/// The namespace and the selectors of one watch.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct WatchSelector {
    /// None: all, since several namespaces are requested.
    pub namespace: Option<String>,
    /// The label selector of EndpointSlices.
    pub selector: String,
    /// The field selector of Services; empty: all.
    pub services: String,
}

impl WatchSelector {
    /// The narrowest scope that has all these Services in it.
    pub(crate) fn of(requested: &BTreeSet<ObjectKey>) -> Self {
        let names: BTreeSet<&str> = requested.iter().map(|service| &*service.name).collect();
        let names: Vec<&str> = names.into_iter().collect();
        let selector = format!("{SERVICE_NAME} in ({})", names.join(","));
        // A field selector can name one Service only.
        let services = match *names {
            [only] => format!("metadata.name={only}"),
            _ => String::new(),
        };
        let mut namespaces = requested.iter().map(|service| &*service.namespace);
        let first = namespaces.next();
        Self {
            namespace: first.filter(|first| namespaces.all(|n| n == *first)).map(str::to_owned),
            selector: if selector.len() > LONGEST { SERVICE_NAME.into() } else { selector },
            services,
        }
    }

    /// The API of a kind, in the namespaces of the watch.
    pub(crate) fn api<K>(&self, client: &Client) -> Api<K>
    where
        K: Resource<Scope = NamespaceResourceScope, DynamicType = ()>,
    {
        api_in(self.namespace.as_deref(), client)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scope(requested: &[(&str, &str)]) -> WatchSelector {
        WatchSelector::of(&requested.iter().map(|(ns, name)| ObjectKey::new(ns, name)).collect())
    }

    #[test]
    fn one_namespace_is_watched_alone_and_several_together_by_name() {
        let one = scope(&[("books", "bb"), ("books", "cc")]);
        assert_eq!(one.namespace.as_deref(), Some("books"));
        assert_eq!(one.selector, "kubernetes.io/service-name in (bb,cc)");
        assert_eq!(one.services, "");
        let two = scope(&[("books", "bb"), ("emojivoto", "bb")]);
        assert_eq!(two.namespace, None);
        assert_eq!(two.selector, "kubernetes.io/service-name in (bb)");
        assert_eq!(two.services, "metadata.name=bb");
    }

    #[test]
    fn more_names_than_fit_a_url_are_not_in_the_selector() {
        let names: Vec<String> = (0..1_000).map(|i| format!("service-{i}")).collect();
        let many: Vec<(&str, &str)> = names.iter().map(|name| ("books", name.as_str())).collect();
        let scope = scope(&many);
        assert_eq!(scope.selector, "kubernetes.io/service-name");
        assert_eq!(scope.namespace.as_deref(), Some("books"));
    }
}
