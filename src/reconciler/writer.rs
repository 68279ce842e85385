//! The one place that writes weights.

use crate::kinds::{FIELD_MANAGER, brief, is_absent};
use crate::reconciler::in_flight::{CROWDED, GiveUp};
use crate::reconciler::write::Write;
use kube::api::{Patch, PatchParams};
use kube::core::DynamicObject;
use kube::{Api, Client};
use std::time::Duration;

/// How long to wait for the answer when an object is read again.
const READ_TIMEOUT: Duration = Duration::from_secs(5);

/// How a write ended.
#[derive(Debug)]
pub(crate) enum WriteOutcome {
    /// Landed; the object as it is now.
    Written(Box<DynamicObject>),
    /// Somebody else wrote first: decide again; the object as it is now, where it was read.
    Conflict(Option<Box<DynamicObject>>),
    /// The API server has no such object; or it has, when it is read again.
    Gone(Option<Box<DynamicObject>>),
    /// Refused or failed: try again later.
    Refused(String),
    /// No answer in time: try again later. It may still land.
    Unanswered(String),
    /// Given up for a newer decision. It may still land.
    Replaced,
}

impl From<GiveUp> for WriteOutcome {
    fn from(why: GiveUp) -> Self {
        match why {
            GiveUp::Replaced => Self::Replaced,
            GiveUp::Crowded => Self::Unanswered(CROWDED.into()),
        }
    }
}

impl WriteOutcome {
    /// Whether the API server has answered it.
    pub(crate) fn is_answered(&self) -> bool {
        !matches!(self, Self::Unanswered(_) | Self::Replaced)
    }
}

/// Writes, and waits so long for the answer. The resourceVersion keeps a late success from being done
/// twice. `read_again`: the object is read after a conflict too, because the watch may be behind.
pub(crate) async fn write(
    client: &Client,
    write: &Write,
    patience: Duration,
    read_again: bool,
) -> WriteOutcome {
    let resource = write.object.kind.api_resource(write.version);
    let api: Api<DynamicObject> =
        Api::namespaced_with(client.clone(), write.object.namespace(), &resource);
    let params =
        PatchParams { field_manager: Some(FIELD_MANAGER.into()), ..PatchParams::default() };
    let patch = Patch::<()>::Json(write.patch.clone());
    let name = write.object.name();
    match tokio::time::timeout(patience, api.patch(name, &params, &patch)).await {
        Ok(Ok(object)) => WriteOutcome::Written(Box::new(object)),
        Ok(Err(kube::Error::Api(status))) if status.code == 409 => {
            WriteOutcome::Conflict(if read_again { read(&api, name).await } else { None })
        }
        Ok(Err(error)) if is_absent(&error) => WriteOutcome::Gone(read(&api, name).await),
        Ok(Err(error)) => WriteOutcome::Refused(brief(&error)),
        Err(_) => WriteOutcome::Unanswered(no_answer(patience)),
    }
}

async fn read(api: &Api<DynamicObject>, name: &str) -> Option<Box<DynamicObject>> {
    let read = tokio::time::timeout(READ_TIMEOUT, api.get(name)).await;
    read.ok()?.ok().map(Box::new)
}

/// The error of a request without an answer in time.
pub(crate) fn no_answer(patience: Duration) -> String {
    format!("no answer within {} s", patience.as_secs())
}
