//! An object as a review has it.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{
    ManagedFieldsEntry, ObjectMeta, OwnerReference, Time,
};
use kube::core::{DynamicObject, TypeMeta};
use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;
use serde_json::{Map, Value};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::ops::Deref;
use std::sync::OnceLock;

/// An object of a kind that is only known at run time, with the metadata that admission uses. It is read in
/// one pass: the `flatten` of kube's own type buffers all of `spec` and `status` before it reads them.
#[derive(Debug)]
pub(crate) struct SentObject {
    /// Its own `managedFields` are empty.
    object: DynamicObject,
    field_owners: FieldOwners,
}

/// Who owns which fields. As trees these are as large as the rest of the object, and most reviews need none
/// of them.
#[derive(Debug, Default)]
struct FieldOwners {
    text: Option<Box<RawValue>>,
    entries: OnceLock<Vec<ManagedFieldsEntry>>,
}

/// An owner of fields, without the fields.
#[derive(Deserialize)]
struct FieldOwner<'a> {
    #[serde(borrow, default)]
    manager: Cow<'a, str>,
    #[serde(borrow, default)]
    operation: Cow<'a, str>,
}

impl SentObject {
    /// Who owns which fields.
    pub(crate) fn managed_fields(&self) -> &[ManagedFieldsEntry] {
        let text = self.field_owners.text.as_deref();
        let read = || text.and_then(|text| serde_json::from_str(text.get()).ok());
        self.field_owners.entries.get_or_init(|| read().unwrap_or_default())
    }

    /// Whether a manager that this is true of, with its operation, owns any fields.
    pub(crate) fn has_field_owner(&self, is_it: impl Fn(&str, &str) -> bool) -> bool {
        let Some(text) = &self.field_owners.text else { return false };
        let owners: Vec<FieldOwner<'_>> = serde_json::from_str(text.get()).unwrap_or_default();
        owners.iter().any(|owner| is_it(&owner.manager, &owner.operation))
    }

    /// Whether anybody may own a field of this name, such as `f:spec`; [`managed_fields`](Self::managed_fields)
    /// shows who does.
    pub(crate) fn may_own(&self, name: &str) -> bool {
        let text = self.field_owners.text.as_deref().map_or("", RawValue::get);
        // Without an escape, a name stands in JSON as it is.
        text.contains('\\') || text.contains(name)
    }
}

impl Deref for SentObject {
    type Target = DynamicObject;

    fn deref(&self) -> &DynamicObject {
        &self.object
    }
}

/// A stored object, whose owners of fields are not known.
impl From<DynamicObject> for SentObject {
    fn from(object: DynamicObject) -> Self {
        Self { object, field_owners: FieldOwners::default() }
    }
}

#[cfg(test)]
impl From<&DynamicObject> for SentObject {
    fn from(object: &DynamicObject) -> Self {
        serde_json::from_value(serde_json::to_value(object).unwrap()).unwrap()
    }
}

/// What is used of an object's metadata.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Metadata {
    name: Option<String>,
    generate_name: Option<String>,
    namespace: Option<String>,
    uid: Option<String>,
    resource_version: Option<String>,
    creation_timestamp: Option<Time>,
    deletion_timestamp: Option<Time>,
    labels: Option<BTreeMap<String, String>>,
    annotations: Option<BTreeMap<String, String>>,
    owner_references: Option<Vec<OwnerReference>>,
    managed_fields: Option<Box<RawValue>>,
}

impl Metadata {
    fn split(self) -> (ObjectMeta, FieldOwners) {
        let metadata = ObjectMeta {
            name: self.name,
            generate_name: self.generate_name,
            namespace: self.namespace,
            uid: self.uid,
            resource_version: self.resource_version,
            creation_timestamp: self.creation_timestamp,
            deletion_timestamp: self.deletion_timestamp,
            labels: self.labels,
            annotations: self.annotations,
            owner_references: self.owner_references,
            ..ObjectMeta::default()
        };
        (metadata, FieldOwners { text: self.managed_fields, ..FieldOwners::default() })
    }
}

impl<'de> Deserialize<'de> for SentObject {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(ObjectVisitor)
    }
}

#[derive(Deserialize)]
#[serde(field_identifier, rename_all = "camelCase")]
enum Field {
    ApiVersion,
    Kind,
    Metadata,
    Other(String),
}

struct ObjectVisitor;

impl<'de> Visitor<'de> for ObjectVisitor {
    type Value = SentObject;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a Kubernetes object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<SentObject, A::Error> {
        let (mut api_version, mut kind) = (None, None);
        let (mut metadata, mut data) = (Metadata::default(), Map::new());
        while let Some(field) = fields.next_key()? {
            match field {
                Field::ApiVersion => api_version = Some(fields.next_value()?),
                Field::Kind => kind = Some(fields.next_value()?),
                Field::Metadata => metadata = fields.next_value()?,
                Field::Other(name) => {
                    data.insert(name, fields.next_value()?);
                }
            }
        }
        let types = api_version.zip(kind);
        let types = types.map(|(api_version, kind)| TypeMeta { api_version, kind });
        let (metadata, field_owners) = metadata.split();
        let object = DynamicObject { types, metadata, data: Value::Object(data) };
        Ok(SentObject { object, field_owners })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kube::ResourceExt;
    use serde_json::json;

    fn entry(manager: &str, operation: &str) -> Value {
        json!({"manager": manager, "operation": operation, "apiVersion": "v1",
            "time": "2026-01-02T03:04:05Z", "fieldsType": "FieldsV1",
            "fieldsV1": {"f:spec": {".": {}, "f:rules": {}}}})
    }

    #[test]
    fn an_object_is_read_as_kube_reads_it() {
        for object in [
            json!({}),
            json!({"metadata": {"name": "emoji", "creationTimestamp": null}}),
            json!({"apiVersion": "v1", "kind": "X", "metadata": {"name": "emoji", "uid": "u",
                "namespace": "ns", "resourceVersion": "7", "generateName": "emo-",
                "creationTimestamp": "2026-01-02T03:04:05Z",
                "deletionTimestamp": "2026-01-02T03:04:05Z",
                "labels": {"a": "b"}, "annotations": {"c": "d\n\u{e9}"},
                "ownerReferences": [{"apiVersion": "v1", "kind": "Y", "name": "z", "uid": "v"}],
                "managedFields": [entry("kubectl", "Apply"), entry("kubectl", "Update")]},
                "spec": {"rules": [{"weight": 1.5, "text": "500m", "none": null}]},
                "status": {"parents": []}, "else": [1, true]}),
        ] {
            let text = object.to_string();
            let sent: SentObject = serde_json::from_str(&text).unwrap();
            let mut kubes: DynamicObject = serde_json::from_str(&text).unwrap();
            assert_eq!(sent.managed_fields(), kubes.managed_fields(), "{text}");
            kubes.metadata.managed_fields = None;
            assert_eq!(*sent, kubes, "{text}");
        }
    }

    #[test]
    fn the_owners_of_fields_are_known_by_manager_and_operation() {
        let metadata = json!({"managedFields": [entry("helm", "Apply"), {"time": null}]});
        let sent: SentObject = serde_json::from_value(json!({"metadata": metadata})).unwrap();
        let has = |manager, operation| sent.has_field_owner(|m, o| (m, o) == (manager, operation));
        assert!(has("helm", "Apply") && has("", "") && !has("helm", "Update"));
        let sent: SentObject = serde_json::from_value(json!({})).unwrap();
        assert!(!sent.has_field_owner(|_, _| true));
    }

    #[test]
    fn a_field_that_nobody_owns_is_known_without_reading_who_owns_what() {
        let sent = |fields: &str| -> SentObject {
            let owners = format!(r#"[{{"manager": "m", "fieldsV1": {{{fields}}}}}]"#);
            serde_json::from_str(&format!(r#"{{"metadata": {{"managedFields": {owners}}}}}"#))
                .unwrap()
        };
        assert!(sent(r#""f:a/b": {}"#).may_own("f:a/b"));
        assert!(sent(r#""f:a\/b": {}"#).may_own("f:a/b"), "escaped");
        assert!(!sent(r#""f:a": {}"#).may_own("f:a/b"));
        assert!(!serde_json::from_str::<SentObject>("{}").unwrap().may_own("f:a/b"));
    }

    #[test]
    fn what_is_no_object_is_an_error() {
        for text in ["7", "[]", "\"x\"", r#"{"metadata": null}"#, r#"{"kind": 7}"#] {
            assert!(serde_json::from_str::<SentObject>(text).is_err(), "{text}");
        }
    }
}
