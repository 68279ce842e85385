//! Requests to the API server that are given up after a while.

use crate::kinds::brief;
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
    #[error("{}", brief(.0))]
    Failed(#[from] kube::Error),
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
