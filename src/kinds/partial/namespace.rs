//! A namespace, as far as it is used.

use crate::kinds::partial::metadata;
use k8s_openapi::api::core::v1::Namespace;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::Resource;
use serde::Deserialize;
use std::borrow::Cow;

/// A namespace with its labels and Linkerd's annotations.
#[derive(Clone, Debug, Default, Deserialize)]
pub(crate) struct PartialNamespace {
    #[serde(default, deserialize_with = "metadata::brief")]
    metadata: ObjectMeta,
}

impl Resource for PartialNamespace {
    type DynamicType = ();
    type Scope = <Namespace as Resource>::Scope;

    fn kind((): &()) -> Cow<'_, str> {
        Namespace::kind(&())
    }
    fn group((): &()) -> Cow<'_, str> {
        Namespace::group(&())
    }
    fn version((): &()) -> Cow<'_, str> {
        Namespace::version(&())
    }
    fn plural((): &()) -> Cow<'_, str> {
        Namespace::plural(&())
    }
    fn meta(&self) -> &ObjectMeta {
        &self.metadata
    }
    fn meta_mut(&mut self) -> &mut ObjectMeta {
        &mut self.metadata
    }
}
