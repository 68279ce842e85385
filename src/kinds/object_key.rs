//! The keys of objects, in the index and in queues.

use crate::engine::service_of;
use crate::kinds::Kind;
use kube::ResourceExt;
use std::fmt;
use std::sync::Arc;

/// A namespaced object's name, cheap to clone. Ordered by namespace, then name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct ObjectKey {
    pub namespace: Arc<str>,
    pub name: Arc<str>,
}

impl ObjectKey {
    pub(crate) fn new(namespace: impl AsRef<str>, name: impl AsRef<str>) -> Self {
        Self { namespace: namespace.as_ref().into(), name: name.as_ref().into() }
    }

    pub(crate) fn of(object: &impl ResourceExt) -> Self {
        let metadata = object.meta();
        let namespace = metadata.namespace.as_deref().unwrap_or_default();
        match &metadata.name {
            Some(name) => Self::new(namespace, name),
            None => Self::new(namespace, object.name_any()),
        }
    }

    /// An object that is named in a namespace, as [`beside`](Self::beside).
    pub(crate) fn within(namespace: &str, name: &str) -> Self {
        let name = service_of(name);
        let (namespace, name) = name.split_once('/').unwrap_or((namespace, name));
        Self::new(namespace, name)
    }

    /// Another object of the same namespace, unless the name has another: `namespace/name`. Of a
    /// backend that is called by its port too, the Service.
    pub(crate) fn beside(&self, name: &str) -> Self {
        let name = service_of(name);
        match name.split_once('/') {
            Some((namespace, name)) => Self::new(namespace, name),
            None => Self { namespace: self.namespace.clone(), name: name.into() },
        }
    }
}

impl fmt::Display for ObjectKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

/// A failover object: its kind and its name, cheap to clone. Ordered by namespace, name and kind.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct ObjectRef {
    pub key: ObjectKey,
    pub kind: Kind,
}

impl ObjectRef {
    pub(crate) fn new(kind: Kind, key: ObjectKey) -> Self {
        Self { key, kind }
    }

    /// A Service that it names, as [`ObjectKey::beside`].
    pub(crate) fn beside(&self, name: &str) -> ObjectKey {
        self.key.beside(name)
    }

    pub(crate) fn namespace(&self) -> &str {
        &self.key.namespace
    }

    pub(crate) fn name(&self) -> &str {
        &self.key.name
    }
}

impl fmt::Display for ObjectRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.kind, self.key)
    }
}
