//! Namespaces that may not be read.

use crate::index::resource::WatchedResource;
use std::collections::BTreeSet;

/// Namespaces, of those that the program is limited to, in which a resource may not be read: one that is
/// gone has no Role of ours either. Nothing is decided there, and the others go on.
#[derive(Debug, Default)]
pub(crate) struct ForbiddenNamespaces(BTreeSet<(String, WatchedResource)>);

impl ForbiddenNamespaces {
    /// Records whether a resource may be read in a namespace. Returns whether that is new.
    pub(crate) fn note(
        &mut self,
        namespace: &str,
        resource: WatchedResource,
        forbidden: bool,
    ) -> bool {
        let entry = (namespace.to_owned(), resource);
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
    fn a_namespace_is_forbidden_until_its_last_kind_may_be_read() {
        const SERVICES: WatchedResource = WatchedResource::Services;
        const SLICES: WatchedResource = WatchedResource::EndpointSlices;
        let mut forbidden = ForbiddenNamespaces::default();
        assert!(forbidden.note("a", SERVICES, true));
        assert!(!forbidden.note("a", SERVICES, true));
        assert!(forbidden.note("a", SLICES, true));
        assert!(forbidden.has("a") && !forbidden.has("b") && !forbidden.has(""));
        assert_eq!(forbidden.len(), 1);
        forbidden.note("a", SERVICES, false);
        assert!(forbidden.has("a"));
        forbidden.note("a", SLICES, false);
        assert!(!forbidden.has("a"));
    }
}
