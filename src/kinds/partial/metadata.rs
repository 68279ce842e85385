//! The metadata of an object, as far as it is used.

use crate::kinds::partial::text::Text;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{
    FieldsV1, ManagedFieldsEntry, ObjectMeta, OwnerReference, Time,
};
use serde::de::{IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;

/// Annotations whose names end so before their `/` are read. Of the others, the manifest that kubectl
/// applied last is often as long as all the rest of an object.
const LINKERD: &str = "linkerd.io";

/// The only field whose owners are of interest, with the names of the fields in it.
const SPEC: &str = "f:spec";

/// Reads name, version, labels and Linkerd's annotations.
pub(super) fn brief<'de, D: Deserializer<'de>>(metadata: D) -> Result<ObjectMeta, D::Error> {
    let read: Brief = Option::deserialize(metadata)?.unwrap_or_default();
    Ok(ObjectMeta {
        name: read.name,
        namespace: read.namespace,
        resource_version: read.resource_version,
        labels: read.labels,
        annotations: read.annotations.map(|LinkerdOnly(annotations)| annotations),
        ..ObjectMeta::default()
    })
}

/// The same with what distinguishes an object from another of its name, and with its owners and those of
/// the fields of its `spec`.
pub(super) fn with_owners<'de, D: Deserializer<'de>>(metadata: D) -> Result<ObjectMeta, D::Error> {
    let read: WithOwners = Option::deserialize(metadata)?.unwrap_or_default();
    let entry = |entry: Entry| ManagedFieldsEntry {
        manager: entry.manager,
        operation: entry.operation,
        time: entry.time,
        fields_v1: entry.fields_v1.map(|SpecOnly(fields)| FieldsV1(fields)),
        ..ManagedFieldsEntry::default()
    };
    let managed_fields = read.managed_fields.map(|all| all.into_iter().map(entry).collect());
    Ok(ObjectMeta {
        name: read.name,
        namespace: read.namespace,
        uid: read.uid,
        resource_version: read.resource_version,
        creation_timestamp: read.creation_timestamp,
        labels: read.labels,
        annotations: read.annotations.map(|LinkerdOnly(annotations)| annotations),
        owner_references: read.owner_references,
        managed_fields,
        ..ObjectMeta::default()
    })
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Brief {
    name: Option<String>,
    namespace: Option<String>,
    resource_version: Option<String>,
    labels: Option<BTreeMap<String, String>>,
    annotations: Option<LinkerdOnly>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct WithOwners {
    name: Option<String>,
    namespace: Option<String>,
    uid: Option<String>,
    resource_version: Option<String>,
    creation_timestamp: Option<Time>,
    labels: Option<BTreeMap<String, String>>,
    annotations: Option<LinkerdOnly>,
    owner_references: Option<Vec<OwnerReference>>,
    managed_fields: Option<Vec<Entry>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Entry {
    manager: Option<String>,
    operation: Option<String>,
    time: Option<Time>,
    fields_v1: Option<SpecOnly>,
}

/// Linkerd's annotations, of all.
struct LinkerdOnly(BTreeMap<String, String>);

impl<'de> Deserialize<'de> for LinkerdOnly {
    fn deserialize<D: Deserializer<'de>>(annotations: D) -> Result<Self, D::Error> {
        annotations.deserialize_map(Entries::of(is_linkerds)).map(Self)
    }
}

fn is_linkerds(annotation: &str) -> bool {
    annotation.split_once('/').is_some_and(|(domain, _)| domain.ends_with(LINKERD))
}

/// Of the fields that a manager owns, those of `spec` by name.
struct SpecOnly(Value);

impl<'de> Deserialize<'de> for SpecOnly {
    fn deserialize<D: Deserializer<'de>>(fields: D) -> Result<Self, D::Error> {
        let owned: BTreeMap<String, Names> =
            fields.deserialize_map(Entries::of(|field| field == SPEC))?;
        let of_spec = owned.into_iter().map(|(field, Names(names))| (field, names.into()));
        Ok(Self(of_spec.collect::<Map<String, Value>>().into()))
    }
}

/// The names in a map.
#[derive(Deserialize)]
#[serde(transparent)]
struct Names(#[serde(deserialize_with = "names")] Map<String, Value>);

fn names<'de, D: Deserializer<'de>>(map: D) -> Result<Map<String, Value>, D::Error> {
    let names: BTreeMap<String, IgnoredAny> = map.deserialize_map(Entries::of(|_| true))?;
    Ok(names.into_keys().map(|name| (name, Map::new().into())).collect())
}

/// Visits a map for the entries whose names are wanted.
struct Entries<V> {
    is_wanted: fn(&str) -> bool,
    value: PhantomData<V>,
}

impl<V> Entries<V> {
    fn of(is_wanted: fn(&str) -> bool) -> Self {
        Self { is_wanted, value: PhantomData }
    }
}

impl<'de, V: Deserialize<'de>> Visitor<'de> for Entries<V> {
    type Value = BTreeMap<String, V>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a map")
    }

    fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Self::Value, M::Error> {
        let mut wanted = BTreeMap::new();
        while let Some(name) = map.next_key::<Text<'de>>()? {
            if (self.is_wanted)(&name) {
                wanted.insert(name.to_owned(), map.next_value()?);
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(wanted)
    }
}
