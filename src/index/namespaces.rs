//! The defaults that namespaces set for the objects in them.

use crate::engine::NamespaceDefault;
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
    pub(crate) fn namespace_default(&self, namespace: &str) -> NamespaceDefault {
        self.namespace_table.default_of(namespace)
    }

    /// Records that a namespace has been listed, or all of them: those of which nothing is known ask for nothing.
    pub(crate) fn namespaces_listed(&mut self, only: Option<&str>) {
        self.namespace_table.forbidden.remove(&only.map(Into::into));
        if !self.namespace_table.set_listed(only) {
            return;
        }
        for (object, managed) in &mut self.objects {
            managed.follow_namespace(self.namespace_table.default_of(&object.key.namespace));
        }
    }

    /// Records that a namespace may not be read, or none of them.
    pub(crate) fn namespaces_forbidden(&mut self, only: Option<&str>) {
        self.namespace_table.forbidden.insert(only.map(Into::into));
    }

    /// The scopes that may not be read: by name, or everything.
    pub(crate) fn forbidden_namespaces(&self) -> impl Iterator<Item = Option<&str>> {
        self.namespace_table.forbidden.iter().map(Option::as_deref)
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
        let now = self.namespace_default(name);
        let protection = match now {
            NamespaceDefault::Asks(protection) => protection.as_str(),
            NamespaceDefault::Silent | NamespaceDefault::NotKnown => "none",
        };
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
    use crate::engine::{Defaults, Protection, annotations};
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
    #[test]
    fn what_a_namespace_asks_for_is_not_known_until_it_is_listed_and_stays_known_then() {
        let mut index = Index::default();
        let silent = object(&mut index, "silent", json!({}));
        let warm = |index: &Index| {
            index.object(&silent).unwrap().readable()[0].intent.policy.warm_standby()
        };
        assert_eq!(warm(&index), None);
        index.namespaces_forbidden(None);
        assert_eq!((warm(&index), index.forbidden_namespaces().count()), (None, 1));
        index.namespaces_listed(Some("other"));
        assert_eq!(warm(&index), None);
        index.namespaces_listed(None);
        assert_eq!((warm(&index), index.forbidden_namespaces().count()), (Some(false), 0));
        index.set_namespace("emojivoto", Some(NamespaceProtection::Is(Protection::Seamless)));
        index.namespaces_forbidden(None);
        assert_eq!(warm(&index), Some(true));
        let later = object(&mut index, "later", json!({}));
        assert!(is_seamless(&index, &later));
    }
}
