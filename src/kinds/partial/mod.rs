//! Objects as the API server sends them, of which only what is used is read.
//!
//! Most of an object is of no concern here: the owners of its fields, the manifest that was applied last,
//! the addresses of endpoints. A LIST has thousands of objects and a watch delivers each change, so what is
//! skipped is neither allocated nor kept. kube's client reads them like any other type.

mod endpoint_slice;
mod metadata;
mod object;
mod service;
mod text;

pub(crate) use endpoint_slice::{AddressType, Endpoint, PartialSlice};
pub(crate) use object::PartialObject;
pub(crate) use service::{PartialService, ServicePort, ServiceSpec};

#[cfg(test)]
mod partial_tests;
