//! The defaults that namespaces set for the objects in them.

use crate::engine::Protection;
use crate::index::namespace_facts::NamespaceProtection;
use crate::index::store::Index;
use crate::kinds::ObjectRef;
use std::sync::Arc;

impl Index {
    /// What a namespace asks for, as it is written there.
    pub(crate) fn namespace_protection(&self, namespace: &str) -> Option<&NamespaceProtection> {
        self.namespace_table.get(namespace)
    }

    /// The protection of the objects of a namespace that ask for none.
    pub(crate) fn default_protection(&self, namespace: &str) -> Option<Protection> {
        match self.namespace_protection(namespace)? {
            NamespaceProtection::Is(protection) => Some(*protection),
            NamespaceProtection::Unreadable(_) => None,
        }
    }

    /// Replaces what a namespace asks for. Returns the objects that it concerns.
    pub(crate) fn set_namespace(
        &mut self,
        name: &str,
        protection: Option<NamespaceProtection>,
    ) -> Vec<ObjectRef> {
        if self.namespace_protection(name) == protection.as_ref() {
            return vec![];
        }
        self.namespace_table.set(name, protection);
        let now = self.default_protection(name);
        let protection = now.map_or("none", Protection::as_str);
        tracing::info!(namespace = name, protection, "a namespace asks for another protection");
        let mut concerned = vec![];
        for (object, managed) in &mut self.objects {
            if *object.key.namespace == *name {
                managed.follow_namespace(now);
                concerned.push(object.clone());
            }
        }
        concerned
    }

    /// The names of those that ask for something.
    pub(crate) fn namespace_names(&self) -> impl Iterator<Item = &Arc<str>> {
        self.namespace_table.names()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::{Defaults, annotations};
    use crate::index::managed_object::ManagedObject;
    use crate::kinds::{Kind, ObjectKey};
    use serde_json::json;

    fn object(index: &mut Index, name: &str, annotations: serde_json::Value) -> ObjectRef {
        let split = serde_json::from_value(json!({
            "metadata": {"name": name, "namespace": "emojivoto", "resourceVersion": "1", "uid": name,
                "annotations": annotations},
            "spec": {"service": "emoji", "backends": [{"service": "emoji"}, {"service": "west"}]},
        }));
        let managed =
            ManagedObject::read(Kind::TrafficSplit, &split.unwrap(), &Defaults::default());
        let key = ObjectRef::new(Kind::TrafficSplit, ObjectKey::new("emojivoto", name));
        index.set_object(key.clone(), managed);
        key
    }

    fn is_seamless(index: &Index, object: &ObjectRef) -> bool {
        index.object(object).unwrap().readable()[0].intent.policy.protection.is_seamless()
    }

    #[test]
    fn a_namespace_decides_for_its_objects_that_say_nothing_before_and_after_they_are_known() {
        let mut index = Index::default();
        let silent = object(&mut index, "silent", json!({}));
        let standard = object(&mut index, "standard", json!({annotations::PROTECTION: "standard"}));
        let seamless = Some(NamespaceProtection::Is(Protection::Seamless));
        assert!(index.set_namespace("other", seamless.clone()).is_empty());
        let mut concerned = index.set_namespace("emojivoto", seamless.clone());
        concerned.sort_unstable();
        assert_eq!(concerned, [silent.clone(), standard.clone()]);
        assert!(is_seamless(&index, &silent) && !is_seamless(&index, &standard));
        assert!(index.set_namespace("emojivoto", seamless).is_empty(), "nothing new");
        let later = object(&mut index, "later", json!({}));
        assert!(is_seamless(&index, &later));
        let unreadable = Some(NamespaceProtection::Unreadable("full".into()));
        assert_eq!(index.set_namespace("emojivoto", unreadable).len(), 3);
        assert!(!is_seamless(&index, &silent) && !is_seamless(&index, &later));
        assert_eq!(index.set_namespace("emojivoto", None).len(), 3, "what is wrong has ended");
        assert_eq!(index.namespace_names().count(), 1, "the other one");
    }
}
