//! The one place that writes weights.

use crate::kinds::{FIELD_MANAGER, brief, is_absent};
use crate::reconciler::plan::Write;
use kube::api::{Patch, PatchParams};
use kube::core::DynamicObject;
use kube::{Api, Client};
use std::time::Duration;
use tokio::sync::oneshot;

/// How long to wait for a look at an object.
const LOOK: Duration = Duration::from_secs(5);

/// How a write ended.
#[derive(Debug)]
pub(crate) enum WriteOutcome {
    /// Landed; the object as it is now.
    Written(Box<DynamicObject>),
    /// Somebody else wrote first: decide again; the object as it is now, where it was looked at.
    Conflict(Option<Box<DynamicObject>>),
    /// The API server has no such object; or it has, at a second look.
    Gone(Option<Box<DynamicObject>>),
    /// Refused or failed: try again later.
    Refused(String),
    /// No answer in time: try again later. It may still land.
    Unanswered(String),
    /// Given up for a newer decision. It may still land.
    Replaced,
}

/// Why a write that is under way is given up. The API server then gives it up too, unless it is just
/// about to land.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum GiveUp {
    /// A newer decision does not want it.
    Replaced,
    /// Too many have no answer.
    Crowded,
}

/// Writes, and waits so long for the answer. The resourceVersion keeps a late success from being done
/// twice. `look`: the object is read anew after a conflict too, because the watch may be behind.
pub(crate) async fn write(
    client: &Client,
    write: &Write,
    patience: Duration,
    look: bool,
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
            WriteOutcome::Conflict(if look { read(&api, name).await } else { None })
        }
        Ok(Err(error)) if is_absent(&error) => WriteOutcome::Gone(read(&api, name).await),
        Ok(Err(error)) => WriteOutcome::Refused(brief(&error)),
        Err(_) => WriteOutcome::Unanswered(no_answer(patience)),
    }
}

async fn read(api: &Api<DynamicObject>, name: &str) -> Option<Box<DynamicObject>> {
    let read = tokio::time::timeout(LOOK, api.get(name)).await;
    read.ok()?.ok().map(Box::new)
}

/// The outcome of a write, or why it was given up before it had one.
pub(crate) async fn unless_given_up<T>(
    write: impl Future<Output = T>,
    given_up: oneshot::Receiver<GiveUp>,
) -> Result<T, GiveUp> {
    tokio::select! {
        biased;
        outcome = write => Ok(outcome),
        Ok(why) = given_up => Err(why),
    }
}

pub(crate) fn no_answer(patience: Duration) -> String {
    format!("no answer within {} s", patience.as_secs())
}

/// What is said of a write that was given up to make room.
pub(crate) const CROWDED: &str = "no answer yet, and too many other writes have none either";
