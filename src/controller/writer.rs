//! The one place that writes weights.

use super::plan::Write;
use crate::resources::{FIELD_MANAGER, brief};
use kube::api::{Patch, PatchParams};
use kube::core::DynamicObject;
use kube::{Api, Client};
use std::time::Duration;

/// An API server that does not answer for so long is asked again; the resourceVersion keeps a late
/// success of the first try from being done twice.
pub(super) const PATIENCE: Duration = Duration::from_secs(5);

/// How a write ended.
#[derive(Debug)]
pub enum Outcome {
    /// Landed; the object as it is now.
    Written(Box<DynamicObject>),
    /// Somebody else wrote first: decide again.
    Conflict,
    /// The object is gone.
    Gone,
    /// Refused or failed: try again later.
    Failed(String),
}

pub async fn write(client: &Client, write: &Write) -> Outcome {
    let resource = write.object.kind.api_resource(write.version);
    let api: Api<DynamicObject> =
        Api::namespaced_with(client.clone(), write.object.namespace(), &resource);
    let params =
        PatchParams { field_manager: Some(FIELD_MANAGER.into()), ..PatchParams::default() };
    let patch = Patch::<()>::Json(write.patch.clone());
    match tokio::time::timeout(PATIENCE, api.patch(write.object.name(), &params, &patch)).await {
        Ok(Ok(object)) => Outcome::Written(Box::new(object)),
        Ok(Err(kube::Error::Api(status))) if status.code == 409 => Outcome::Conflict,
        Ok(Err(kube::Error::Api(status))) if status.code == 404 => Outcome::Gone,
        Ok(Err(error)) => Outcome::Failed(brief(&error)),
        Err(_) => Outcome::Failed(format!("no answer within {} s", PATIENCE.as_secs())),
    }
}
