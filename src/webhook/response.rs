//! From a body to a response: whatever happens inside, the response carries the request's uid.

use crate::telemetry::{ObjectOperation, ReviewOutcome, ReviewPath};
use crate::webhook::answer::{self, AdmissionResponse};
use crate::webhook::review::{self, MalformedReason, MalformedReview, ReviewRequest};
use futures::FutureExt;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
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

impl ReviewResponse {
    /// With this content.
    pub(crate) fn new(uid: &str, operation: ObjectOperation, response: &AdmissionResponse) -> Self {
        let review = response.to_review(uid).map_err(ReviewError::from);
        let outcome = match &review {
            Ok(_) if response.allowed => ReviewOutcome::Allowed,
            Ok(_) => ReviewOutcome::Denied,
            Err(error) => error.outcome(),
        };
        Self { review, outcome, operation }
    }
}

/// What a response needs of a request whose review has no result.
#[derive(Debug, Default)]
pub(crate) struct RequestInfo {
    pub uid: Option<String>,
    pub object: Option<String>,
    pub operation: ObjectOperation,
}

impl RequestInfo {
    fn of(request: &ReviewRequest) -> Self {
        Self {
            uid: Some(request.uid.clone()),
            object: Some(request.describe()),
            operation: request.operation(),
        }
    }
}

/// Answers by the deadline.
pub(crate) async fn answer(
    reviewer: &impl Reviewer,
    webhook: ReviewPath,
    body: &[u8],
    deadline: Instant,
) -> ReviewResponse {
    let request = match catch_unwind(|| review::parse(body)) {
        Ok(Ok(request)) => request,
        Ok(Err(MalformedReview { uid, reason })) => {
            let info = RequestInfo { uid, ..RequestInfo::default() };
            return failure(webhook, info, reason.into());
        }
        Err(_) => return failure(webhook, RequestInfo::default(), ReviewError::Panicked),
    };
    let reviewing = AssertUnwindSafe(reviewer.review(webhook, &request)).catch_unwind();
    let error = match timeout_at(deadline, reviewing).await {
        Ok(Ok(response)) => {
            return ReviewResponse::new(&request.uid, request.operation(), &response);
        }
        Ok(Err(_)) => ReviewError::Panicked,
        Err(_) => ReviewError::Late,
    };
    failure(webhook, RequestInfo::of(&request), error)
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
        Some(uid) => {
            let failed = answer::failed(is_allowed_on_failure(webhook), &error);
            failed.to_review(&uid).map_err(ReviewError::from)
        }
        None => Err(error),
    };
    ReviewResponse { review, outcome, operation }
}

/// A mutating webhook that fails leaves the object as it is, and the validator decides. A deletion is
/// never denied.
fn is_allowed_on_failure(webhook: ReviewPath) -> bool {
    webhook != ReviewPath::Validate
}
