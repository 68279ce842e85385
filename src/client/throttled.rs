//! The answer of an API server that asks for fewer requests: 429 with a `Retry-After`.
//!
//! kube keeps the status of an error and drops its headers; this is taken out of the response before.

use http::header::RETRY_AFTER;
use http::{Response, StatusCode};
use std::time::Duration;
use tower::BoxError;

/// The request was not looked at; it may come again after a while.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("429 Too Many Requests: the API server asks to wait for {} s", .after.as_secs())]
pub(crate) struct Throttled {
    pub after: Duration,
}

impl Throttled {
    /// Why a request failed, where it is this.
    pub(crate) fn of(error: &kube::Error) -> Option<Self> {
        match error {
            kube::Error::Service(error) => error.downcast_ref().copied(),
            _ => None,
        }
    }
}

/// Makes an error of such an answer. A webhook that denies with 429 gives no time, and is left to kube.
pub(crate) fn refuse<B>(answer: Result<Response<B>, BoxError>) -> Result<Response<B>, BoxError> {
    let answer = answer?;
    match retry_after(&answer) {
        Some(after) if answer.status() == StatusCode::TOO_MANY_REQUESTS => {
            Err(Throttled { after }.into())
        }
        _ => Ok(answer),
    }
}

/// Kubernetes gives whole seconds.
fn retry_after<B>(answer: &Response<B>) -> Option<Duration> {
    let seconds = answer.headers().get(RETRY_AFTER)?.to_str().ok()?;
    seconds.trim().parse().ok().map(Duration::from_secs)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, retry_after: Option<&str>) -> Option<u64> {
        let mut answer = Response::builder().status(status);
        if let Some(after) = retry_after {
            answer = answer.header("retry-after", after);
        }
        let error = refuse(Ok(answer.body(()).unwrap())).err()?;
        let throttled = Throttled::of(&kube::Error::Service(error)).unwrap();
        Some(throttled.after.as_secs())
    }

    #[test]
    fn only_429_with_a_time_in_seconds_is_throttling() {
        assert_eq!(answer(429, Some("1")), Some(1));
        assert_eq!(answer(429, Some(" 32 ")), Some(32));
        assert_eq!(answer(429, None), None, "a webhook's own");
        assert_eq!(answer(429, Some("Thu, 26 Nov 2026 03:00:00 GMT")), None);
        assert_eq!(answer(503, Some("1")), None);
        assert_eq!(answer(200, None), None);
    }
}
