//! The manifest that `kubectl apply` leaves in an annotation: what its author wrote, exactly.

use super::traffic_split;
use crate::failover::{Weights, annotations};
use kube::ResourceExt;
use kube::core::DynamicObject;

/// The weights of the applied manifest, where this request brought a new one.
///
/// `None` also where the annotation is unreadable: kubectl's business, not ours to refuse.
pub fn newly_applied_weights(old: &DynamicObject, new: &DynamicObject) -> Option<Weights> {
    let brought = new.annotations().get(annotations::LAST_APPLIED)?;
    if old.annotations().get(annotations::LAST_APPLIED) == Some(brought) {
        return None;
    }
    let manifest: DynamicObject = serde_json::from_str(brought).ok()?;
    Some(traffic_split::read(&manifest).live())
}
