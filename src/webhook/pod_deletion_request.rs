//! The review of a pod's deletion or eviction, and the announcement in it.
//!
//! Thousands may be delayed at once: only the pod's name, its uid and its end are kept of each.

use crate::deletion_guard::Announcement;
use crate::telemetry::ObjectOperation;
use crate::webhook::partial_review::{PartialRequest, PartialReview};
use serde::Deserialize;

pub(crate) type DeletionReview = PartialReview<DeletedObject, DeleteOptions>;
pub(crate) type DeletionRequest = PartialRequest<DeletedObject, DeleteOptions>;

/// The pod of a deletion, or an Eviction.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct DeletedObject {
    #[serde(default)]
    metadata: PodMetadata,
    #[serde(default)]
    spec: PodSpec,
    #[serde(default)]
    delete_options: Option<DeleteOptions>,
}

/// Of a pod.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct PodSpec {
    #[serde(default)]
    termination_grace_period_seconds: Option<i64>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct PodMetadata {
    #[serde(default)]
    name: String,
    #[serde(default)]
    uid: Option<String>,
    #[serde(default)]
    deletion_timestamp: Option<String>,
}

/// Of a DELETE, or within an Eviction.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct DeleteOptions {
    #[serde(default)]
    grace_period_seconds: Option<i64>,
    #[serde(default)]
    dry_run: Option<Vec<String>>,
    #[serde(default)]
    preconditions: Option<Preconditions>,
}

#[derive(Debug, Deserialize)]
struct Preconditions {
    #[serde(default)]
    uid: Option<String>,
}

/// Why a deletion goes on without a look at what rests on the pod.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SkipReason {
    /// Nothing is deleted.
    DryRun,
    /// The pod is being deleted already, or has no grace period.
    TooLate,
}

impl DeletionRequest {
    /// The announcement of this deletion.
    pub(crate) fn announcement(self) -> Result<Announcement, SkipReason> {
        let evicts = self.operation == ObjectOperation::Create;
        let within = self.object.as_ref().and_then(|object| object.delete_options.as_ref());
        let mut options = [self.options.as_ref(), within].into_iter().flatten();
        let forced = options.clone().any(|o| o.grace_period_seconds == Some(0));
        // `kubectl drain` sets it in the Eviction alone.
        let dry = |o: &DeleteOptions| o.dry_run.as_ref().is_some_and(|stages| !stages.is_empty());
        if self.dry_run == Some(true) || options.any(dry) {
            return Err(SkipReason::DryRun);
        }
        let old = self.old_object.as_ref().map(|old| &old.metadata);
        let is_deleted = old.is_some_and(|pod| pod.deletion_timestamp.is_some());
        // The API server fills in the pod's own grace: a pod that has none is not forced out by it.
        let spec = self.old_object.as_ref().map(|old| &old.spec);
        let own = spec.and_then(|spec| spec.termination_grace_period_seconds);
        if is_deleted || forced && own != Some(0) {
            return Err(SkipReason::TooLate);
        }
        let precondition = within.and_then(|o| o.preconditions.as_ref()?.uid.clone());
        let uid = if evicts { precondition } else { old.and_then(|pod| pod.uid.clone()) };
        // Of a deleted collection only the objects have names.
        let names = [self.object.as_ref().map(|o| &o.metadata), old].into_iter().flatten();
        let mut names = [self.name].into_iter().chain(names.map(|m| m.name.clone()));
        let name = names.find(|name| !name.is_empty()).unwrap_or_default();
        Ok(Announcement { namespace: self.namespace, name, uid })
    }
}
