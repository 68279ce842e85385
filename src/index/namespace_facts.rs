//! What is kept of a namespace: what it asks for of the objects in it.

use crate::engine::{NamespaceDefault, Protection, annotations};
use kube::ResourceExt;
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

/// What a namespace asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum NamespaceProtection {
    Is(Protection),
    /// Its annotation has this value, which is ignored.
    Unreadable(Box<str>),
}

impl NamespaceProtection {
    /// Reads the annotation; none where there is none. An invalid value is logged and ignored.
    pub(crate) fn read(namespace: &impl ResourceExt) -> Option<Self> {
        let text = namespace.annotations().get(annotations::PROTECTION)?;
        let read = Protection::parse(text);
        if read.is_none() {
            tracing::error!(
                "{} on namespace {} is {text:?}, expected \"standard\" or \"seamless\": it is ignored",
                annotations::PROTECTION,
                namespace.name_any()
            );
        }
        Some(read.map_or_else(|| Self::Unreadable(text.as_str().into()), Self::Is))
    }
}

/// What namespaces ask for, as far as that is known.
#[derive(Debug, Default)]
pub(crate) struct NamespaceTable {
    /// By name, those that ask for something; most do not.
    asking: HashMap<Arc<str>, NamespaceProtection>,
    /// Those that have been listed.
    listed: Listed,
    /// The scopes that may not be read: by name, or everything.
    pub forbidden: BTreeSet<Option<Box<str>>>,
}

/// Which namespaces have been listed since the start. What is known of one stays known while it cannot be
/// read.
#[derive(Debug, Default)]
struct Listed {
    all: bool,
    some: BTreeSet<Box<str>>,
}

impl NamespaceTable {
    pub(super) fn get(&self, name: &str) -> Option<&NamespaceProtection> {
        self.asking.get(name)
    }

    /// The default of the objects of a namespace. A value that cannot be read is none.
    pub(super) fn default_of(&self, name: &str) -> NamespaceDefault {
        match self.get(name) {
            Some(NamespaceProtection::Is(protection)) => NamespaceDefault::Asks(*protection),
            Some(NamespaceProtection::Unreadable(_)) => NamespaceDefault::Silent,
            None if self.listed.all || self.listed.some.contains(name) => NamespaceDefault::Silent,
            None => NamespaceDefault::NotKnown,
        }
    }

    /// Records that a namespace has been listed, or all of them. Returns whether that is the first time.
    pub(super) fn set_listed(&mut self, only: Option<&str>) -> bool {
        match only {
            Some(name) => self.listed.some.insert(name.into()),
            None => !std::mem::replace(&mut self.listed.all, true),
        }
    }

    /// Replaces what a namespace asks for.
    pub(super) fn set(&mut self, name: &str, protection: Option<NamespaceProtection>) {
        match protection {
            Some(protection) => drop(self.asking.insert(name.into(), protection)),
            None => drop(self.asking.remove(name)),
        }
    }

    /// The names of those that ask for something.
    pub(super) fn names(&self) -> impl Iterator<Item = &Arc<str>> {
        self.asking.keys()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use k8s_openapi::api::core::v1::Namespace;
    use serde_json::json;

    #[test]
    fn only_the_two_values_are_read() {
        let read = |annotations: serde_json::Value| {
            let namespace = json!({"metadata": {"name": "x", "annotations": annotations}});
            NamespaceProtection::read(&serde_json::from_value::<Namespace>(namespace).unwrap())
        };
        assert_eq!(read(json!({})), None);
        let of = |value: &str| read(json!({annotations::PROTECTION: value}));
        assert_eq!(of("seamless"), Some(NamespaceProtection::Is(Protection::Seamless)));
        assert_eq!(of("standard"), Some(NamespaceProtection::Is(Protection::Standard)));
        assert_eq!(of("full"), Some(NamespaceProtection::Unreadable("full".into())));
    }
}
