//! Requests to the API server that are timed, and given up after a while.

use crate::client::request_times::RequestTimes;
use crate::client::throttled::Throttled;
use crate::kinds::{FIELD_MANAGER, brief};
use kube::api::{Patch, PatchParams};
use kube::core::Request;
use kube::{Api, Client, Resource};
use serde::de::DeserializeOwned;
use std::time::Duration;

/// Why a request has no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NoAnswer {
    #[error("no answer within {} s", .0.as_secs())]
    Within(Duration),
    /// It was given up to make room.
    #[error("no answer yet, and too many other writes have none either")]
    Crowded,
}

/// Why a request failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RequestError {
    #[error(transparent)]
    Unanswered(#[from] NoAnswer),
    /// The API server has not looked at it.
    #[error(transparent)]
    Throttled(Throttled),
    #[error("{}", brief(.0))]
    Failed(kube::Error),
}

impl From<kube::Error> for RequestError {
    fn from(error: kube::Error) -> Self {
        match Throttled::of(&error) {
            Some(throttled) => Self::Throttled(throttled),
            None => Self::Failed(error),
        }
    }
}

/// Makes a request, and waits this long for the answer.
pub(crate) async fn within<T>(
    timeout: Duration,
    request: impl Future<Output = kube::Result<T>>,
) -> Result<T, RequestError> {
    match tokio::time::timeout(timeout, request).await {
        Ok(answer) => Ok(answer?),
        Err(_) => Err(NoAnswer::Within(timeout).into()),
    }
}

/// Patches an object, and takes the times of the request.
pub(crate) async fn patch<K: Resource, T: DeserializeOwned>(
    client: &Client,
    api: &Api<K>,
    name: &str,
    patch: json_patch::Patch,
    times: &RequestTimes,
) -> kube::Result<T> {
    let params =
        PatchParams { field_manager: Some(FIELD_MANAGER.into()), ..PatchParams::default() };
    let request = Request::new(api.resource_url());
    let request = request.patch(name, &params, &Patch::<()>::Json(patch));
    let mut request = request.map_err(kube::Error::BuildRequest)?;
    times.begin(&mut request);
    client.request(request).await
}
