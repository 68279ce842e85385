//! The reader of EndpointSlices, of this cluster and of linked ones.

use crate::index::endpoints::{AddressFamilies, SERVICE_NAME, SliceFacts};
use crate::index::slice_table::SliceUpdate;
use crate::informers::resource_version;
use crate::kinds::ObjectKey;
use k8s_openapi::api::discovery::v1::EndpointSlice;

/// The facts of a slice, and the Service that its label names.
pub(crate) fn read(slice: &EndpointSlice, families: AddressFamilies) -> SliceUpdate {
    let key = ObjectKey::of(slice);
    let labels = slice.metadata.labels.as_ref();
    let service = labels.and_then(|labels| labels.get(SERVICE_NAME)).map(|s| key.beside(s));
    SliceUpdate {
        version: resource_version::of_object(slice),
        service,
        facts: SliceFacts::read(slice, families),
        slice: key,
    }
}
