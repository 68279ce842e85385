//! The one place that writes weights.

use crate::client::request_times::RequestTimes;
use crate::kinds::is_absent;
use crate::kinds::partial::PartialObject;
use crate::reconciler::in_flight::GiveUp;
use crate::reconciler::request::{self, NoAnswer, RequestError, within};
use crate::reconciler::write::Write;
use kube::{Api, Client};
use std::time::Duration;

/// How long to wait for the answer when an object is read again.
const READ_TIMEOUT: Duration = Duration::from_secs(5);

/// How a write ended.
#[derive(Debug)]
pub(crate) enum WriteOutcome {
    /// Landed; the object as it is now.
    Written(Box<PartialObject>),
    /// Somebody else wrote first: decide again; the object as it is now, where it was read.
    Conflict(Option<Box<PartialObject>>),
    /// The API server has no such object; or it has, when it is read again.
    Gone(Option<Box<PartialObject>>),
    /// Refused or failed: try again later.
    Refused(RequestError),
    /// No answer in time: try again later. It may still land.
    Unanswered(NoAnswer),
    /// Given up for a newer decision. It may still land.
    Replaced,
}

impl From<GiveUp> for WriteOutcome {
    fn from(why: GiveUp) -> Self {
        match why {
            GiveUp::Replaced => Self::Replaced,
            GiveUp::Crowded => Self::Unanswered(NoAnswer::Crowded),
        }
    }
}

impl WriteOutcome {
    /// Whether the API server has answered it.
    pub(crate) fn is_answered(&self) -> bool {
        !matches!(self, Self::Unanswered(_) | Self::Replaced)
    }
}

/// Writes, and waits this long for the answer. The resourceVersion keeps a late success from being done
/// twice. `read_again`: the object is read after a conflict too, because the watch may be behind.
pub(crate) async fn write(
    client: &Client,
    write: &Write,
    timeout: Duration,
    read_again: bool,
    times: &RequestTimes,
) -> WriteOutcome {
    let resource = write.object.kind.api_resource(write.version);
    let api: Api<PartialObject> =
        Api::namespaced_with(client.clone(), write.object.namespace(), &resource);
    let name = write.object.name();
    let patch = write.patch.clone();
    #[cfg(feature = "planted-faults")]
    let patch = crate::planted_faults::patch(patch);
    let patched = request::patch(client, &api, name, patch, times);
    match within(timeout, patched).await {
        Ok(object) => WriteOutcome::Written(Box::new(object)),
        Err(RequestError::Unanswered(why)) => WriteOutcome::Unanswered(why),
        Err(RequestError::Failed(kube::Error::Api(status))) if write.is_conflict(status.code) => {
            WriteOutcome::Conflict(if read_again { read(&api, name).await } else { None })
        }
        Err(RequestError::Failed(error)) if is_absent(&error) => {
            WriteOutcome::Gone(read(&api, name).await)
        }
        Err(error) => WriteOutcome::Refused(error),
    }
}

async fn read(api: &Api<PartialObject>, name: &str) -> Option<Box<PartialObject>> {
    within(READ_TIMEOUT, api.get(name)).await.ok().map(Box::new)
}
