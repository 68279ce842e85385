//! The reader of EndpointSlices, of this cluster and of linked ones.

use crate::index::endpoints::{AddressFamilies, SERVICE_NAME, SliceFacts};
use crate::index::slice_table::SliceUpdate;
use crate::informers::resource_version;
use crate::kinds::ObjectKey;
use crate::kinds::partial::PartialSlice;
use kube::ResourceExt;

/// The facts of a slice, and the Service that its label names.
pub(crate) fn read(slice: &PartialSlice, families: AddressFamilies) -> SliceUpdate {
    let key = ObjectKey::of(slice);
    let service = slice.labels().get(SERVICE_NAME).map(|service| key.beside(service));
    SliceUpdate {
        version: resource_version::of_object(slice),
        service,
        facts: SliceFacts::read(slice, families),
        slice: key,
    }
}
