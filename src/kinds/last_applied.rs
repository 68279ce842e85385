//! The manifest that `kubectl apply` records in an annotation: what its author wrote, exactly.

use crate::engine::{Declaration, annotations};
use crate::kinds::Kind;
use kube::ResourceExt;
use kube::core::DynamicObject;

/// The manifest that was applied last; `None` where there is none, or none that can be read: that is
/// kubectl's business, and not ours to refuse.
pub(crate) fn last_applied(kind: Kind, object: &DynamicObject) -> Option<Declaration> {
    let brought = object.annotations().get(annotations::LAST_APPLIED)?;
    let mut manifest: DynamicObject = serde_json::from_str(brought).ok()?;
    manifest.metadata.namespace = object.namespace();
    Some(kind.read(&manifest))
}
