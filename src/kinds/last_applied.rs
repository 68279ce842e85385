//! The manifest that `kubectl apply` leaves in an annotation: what its author wrote, exactly.

use crate::engine::{Declaration, annotations};
use crate::kinds::Kind;
use kube::ResourceExt;
use kube::core::DynamicObject;

/// The applied manifest, where this request brought a new one.
///
/// `None` also where the annotation is unreadable: kubectl's business, not ours to refuse.
pub(crate) fn newly_applied(
    kind: Kind,
    old: &DynamicObject,
    new: &DynamicObject,
) -> Option<Declaration> {
    let brought = new.annotations().get(annotations::LAST_APPLIED)?;
    if old.annotations().get(annotations::LAST_APPLIED) == Some(brought) {
        return None;
    }
    last_applied(kind, new)
}

/// The manifest that was applied last; `None` where there is none, or none that can be read.
pub(crate) fn last_applied(kind: Kind, object: &DynamicObject) -> Option<Declaration> {
    let brought = object.annotations().get(annotations::LAST_APPLIED)?;
    let mut manifest: DynamicObject = serde_json::from_str(brought).ok()?;
    manifest.metadata.namespace = object.namespace();
    Some(kind.read(&manifest))
}
