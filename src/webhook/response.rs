//! From a body to a response: whatever happens inside, the response carries the request's uid.

use crate::telemetry::{ObjectOperation, ReviewOutcome, ReviewPath};
use crate::webhook::answer;
use crate::webhook::review::{self, MalformedReason, ReviewRequest};
use futures::FutureExt;
use kube::core::admission::AdmissionResponse;
use std::future::Future;
use std::panic::AssertUnwindSafe;
use tokio::time::{Instant, timeout_at};

/// Answers a review that could be parsed.
pub(crate) trait Reviewer: Send + Sync + 'static {
    /// A response that needs no parsing of the review, if there is one.
    fn precheck(&self, _: ReviewPath, _body: &[u8]) -> Option<ReviewResponse> {
        None
    }

    fn review(
        &self,
        webhook: ReviewPath,
        request: &ReviewRequest,
    ) -> impl Future<Output = AdmissionResponse> + Send;
}

/// Why a review has no result.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReviewError {
    #[error(transparent)]
    Malformed(#[from] MalformedReason),
    /// The deadline passed.
    #[error("it took too long")]
    Late,
    #[error("an error of its own")]
    Panicked,
    #[error("the response cannot be written: {0}")]
    Unwritable(#[from] serde_json::Error),
}

impl ReviewError {
    fn outcome(&self) -> ReviewOutcome {
        match self {
            Self::Malformed(_) => ReviewOutcome::Malformed,
            Self::Late => ReviewOutcome::Late,
            Self::Panicked | Self::Unwritable(_) => ReviewOutcome::Panicked,
        }
    }
}

/// The response to a review.
#[derive(Debug)]
pub(crate) struct ReviewResponse {
    /// An AdmissionReview; an error only where the body has no uid.
    pub review: Result<Vec<u8>, ReviewError>,
    pub outcome: ReviewOutcome,
    pub operation: ObjectOperation,
}

/// What a response needs of a request whose review has no result.
#[derive(Debug, Default)]
pub(crate) struct RequestInfo {
    pub uid: Option<String>,
    pub object: Option<String>,
    pub operation: ObjectOperation,
}

/// Answers by the deadline.
pub(crate) async fn answer(
    reviewer: &impl Reviewer,
    webhook: ReviewPath,
    body: &[u8],
    deadline: Instant,
) -> ReviewResponse {
    let mut info = RequestInfo::default();
    let reviewing = AssertUnwindSafe(review(reviewer, webhook, body, &mut info)).catch_unwind();
    let reviewed = match timeout_at(deadline, reviewing).await {
        Ok(Ok(reviewed)) => reviewed,
        Ok(Err(_)) => Err(ReviewError::Panicked),
        Err(_) => Err(ReviewError::Late),
    };
    reviewed.unwrap_or_else(|error| failure(webhook, info, error))
}

async fn review(
    reviewer: &impl Reviewer,
    webhook: ReviewPath,
    body: &[u8],
    info: &mut RequestInfo,
) -> Result<ReviewResponse, ReviewError> {
    let request = review::parse(body).map_err(|malformed| {
        info.uid = malformed.uid;
        malformed.reason
    })?;
    let operation = review::operation(&request);
    let object = Some(review::describe(&request));
    *info = RequestInfo { uid: Some(request.uid.clone()), object, operation };
    let response = reviewer.review(webhook, &request).await;
    let outcome = if response.allowed { ReviewOutcome::Allowed } else { ReviewOutcome::Denied };
    let review = Ok(serde_json::to_vec(&response.into_review())?);
    Ok(ReviewResponse { review, outcome, operation })
}

/// The response to a review without a result.
pub(crate) fn failure(
    webhook: ReviewPath,
    info: RequestInfo,
    error: ReviewError,
) -> ReviewResponse {
    let RequestInfo { uid, object, operation } = info;
    let outcome = error.outcome();
    if outcome != ReviewOutcome::Malformed {
        let (webhook, why) = (webhook.as_str(), error.to_string());
        tracing::error!(webhook, object, uid, why, "a review was not answered");
    }
    let review = match uid {
        Some(uid) => Ok(answer::failed(&uid, is_allowed_on_failure(webhook), &error)),
        None => Err(error),
    };
    ReviewResponse { review, outcome, operation }
}

/// A mutating webhook that fails leaves the object as it is, and the validator decides. A deletion is
/// never denied.
fn is_allowed_on_failure(webhook: ReviewPath) -> bool {
    webhook != ReviewPath::Validate
}
