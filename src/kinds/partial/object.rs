//! An object of a kind that is only known at run time, as far as it is used.

use crate::kinds::partial::metadata;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::core::DynamicObject;
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};
use std::ops::Deref;

/// A [`DynamicObject`] with `spec`, `status` and the metadata that adapters and facts are read from. Its
/// annotations are Linkerd's, and of the fields of each manager there are those of `spec`, by name.
#[derive(Clone, Debug)]
pub(crate) struct PartialObject(DynamicObject);

#[derive(Deserialize)]
struct Fields {
    #[serde(default, deserialize_with = "metadata::with_owners")]
    metadata: ObjectMeta,
    #[serde(default)]
    spec: Value,
    #[serde(default)]
    status: Value,
}

impl<'de> Deserialize<'de> for PartialObject {
    fn deserialize<D: Deserializer<'de>>(object: D) -> Result<Self, D::Error> {
        let Fields { metadata, spec, status } = Fields::deserialize(object)?;
        let fields = [("spec", spec), ("status", status)];
        let there = fields.into_iter().filter(|(_, value)| !value.is_null());
        let data: Map<String, Value> = there.map(|(name, value)| (name.into(), value)).collect();
        Ok(Self(DynamicObject { types: None, metadata, data: data.into() }))
    }
}

impl Deref for PartialObject {
    type Target = DynamicObject;

    fn deref(&self) -> &DynamicObject {
        &self.0
    }
}

resource_as!(PartialObject, DynamicObject, 0.metadata);
