//! Objects as the API server sends them, of which only what is used is read.
//!
//! Most of an object is of no concern here: the owners of its fields, the manifest that was applied last,
//! the addresses of endpoints. A LIST has thousands of objects and a watch delivers each change, so what is
//! skipped is neither allocated nor kept. kube's client reads them like any other type.

/// Makes a part of an object the [`Resource`](kube::Resource) that the whole is; the last argument is the
/// place of its metadata.
macro_rules! resource_as {
    ($partial:ty, $whole:ty, $($metadata:tt).+) => {
        impl kube::Resource for $partial {
            type DynamicType = <$whole as kube::Resource>::DynamicType;
            type Scope = <$whole as kube::Resource>::Scope;

            fn kind(of: &Self::DynamicType) -> std::borrow::Cow<'_, str> {
                <$whole as kube::Resource>::kind(of)
            }
            fn group(of: &Self::DynamicType) -> std::borrow::Cow<'_, str> {
                <$whole as kube::Resource>::group(of)
            }
            fn version(of: &Self::DynamicType) -> std::borrow::Cow<'_, str> {
                <$whole as kube::Resource>::version(of)
            }
            fn plural(of: &Self::DynamicType) -> std::borrow::Cow<'_, str> {
                <$whole as kube::Resource>::plural(of)
            }
            fn meta(&self) -> &ObjectMeta {
                &self.$($metadata).+
            }
            fn meta_mut(&mut self) -> &mut ObjectMeta {
                &mut self.$($metadata).+
            }
        }
    };
}

mod endpoint_slice;
mod metadata;
mod namespace;
mod object;
mod service;
mod text;

pub(crate) use endpoint_slice::{AddressType, Endpoint, PartialSlice};
pub(crate) use namespace::PartialNamespace;
pub(crate) use object::PartialObject;
pub(crate) use service::{PartialService, ServicePort, ServiceSpec};

#[cfg(test)]
mod partial_tests;
