//! From a body to an answer: whatever happens inside, the answer carries the request's uid.

use crate::telemetry::{ObjectOperation, ReviewOutcome, ReviewPath};
use crate::webhook::answer;
use crate::webhook::review::{self, ReviewRequest};
use futures::FutureExt;
use kube::core::admission::AdmissionResponse;
use std::future::Future;
use std::panic::AssertUnwindSafe;
use tokio::time::{Instant, timeout_at};

/// Answers a review that could be parsed.
pub(crate) trait Reviewer: Send + Sync + 'static {
    /// An answer that needs no parsing of the review, if there is one.
    fn precheck(&self, _: ReviewPath, _body: &[u8]) -> Option<ReviewResponse> {
        None
    }

    fn review(
        &self,
        webhook: ReviewPath,
        request: &ReviewRequest,
    ) -> impl Future<Output = AdmissionResponse> + Send;
}

/// The response to a review.
#[derive(Debug)]
pub(crate) struct ReviewResponse {
    /// An AdmissionReview; `Err` only where no uid can be found, with a sentence for the client.
    pub review: Result<Vec<u8>, String>,
    pub outcome: ReviewOutcome,
    pub operation: ObjectOperation,
}

/// What a response needs of a request whose review did not end.
struct RequestInfo {
    uid: String,
    object: String,
    operation: ObjectOperation,
}

/// Answers by the deadline.
pub(crate) async fn answer(
    reviewer: &impl Reviewer,
    webhook: ReviewPath,
    body: &[u8],
    deadline: Instant,
) -> ReviewResponse {
    let mut info = None;
    let reviewing = AssertUnwindSafe(reviewed(reviewer, webhook, body, &mut info)).catch_unwind();
    let (outcome, why) = match timeout_at(deadline, reviewing).await {
        Ok(Ok(answer)) => return answer,
        Ok(Err(_)) => (ReviewOutcome::Panicked, "an error of its own"),
        Err(_) => (ReviewOutcome::Late, "it took too long"),
    };
    let Some(info) = info else {
        tracing::error!(webhook = webhook.as_str(), why, "a review could not be read");
        return ReviewResponse {
            review: Err(why.into()),
            outcome,
            operation: ObjectOperation::Unknown,
        };
    };
    tracing::error!(
        webhook = webhook.as_str(),
        object = info.object,
        why,
        "a review was not judged"
    );
    let review = Ok(answer::failed(&info.uid, is_allowed_on_failure(webhook), why));
    ReviewResponse { review, outcome, operation: info.operation }
}

/// The response to a review that did not end in time, or panicked.
pub(crate) fn failure(
    uid: Option<String>,
    webhook: ReviewPath,
    outcome: ReviewOutcome,
) -> ReviewResponse {
    let why = match outcome {
        ReviewOutcome::Late => "it took too long",
        _ => "an error of its own",
    };
    tracing::error!(
        webhook = webhook.as_str(),
        uid = uid.as_deref(),
        why,
        "a review was not judged"
    );
    let review = match uid {
        Some(uid) => Ok(answer::failed(&uid, is_allowed_on_failure(webhook), why)),
        None => Err(why.into()),
    };
    ReviewResponse { review, outcome, operation: ObjectOperation::Unknown }
}

async fn reviewed(
    reviewer: &impl Reviewer,
    webhook: ReviewPath,
    body: &[u8],
    info: &mut Option<RequestInfo>,
) -> ReviewResponse {
    let request = match review::parse(body) {
        Ok(request) => request,
        Err(malformed) => {
            let allowed = is_allowed_on_failure(webhook);
            let review = match malformed.uid {
                Some(uid) => Ok(answer::failed(&uid, allowed, &malformed.why)),
                None => Err(malformed.why),
            };
            return ReviewResponse {
                review,
                outcome: ReviewOutcome::Malformed,
                operation: ObjectOperation::Unknown,
            };
        }
    };
    let operation = review::operation(&request);
    *info = Some(RequestInfo {
        uid: request.uid.clone(),
        object: review::describe(&request),
        operation,
    });
    let response = reviewer.review(webhook, &request).await;
    let outcome = if response.allowed { ReviewOutcome::Allowed } else { ReviewOutcome::Denied };
    let review = serde_json::to_vec(&response.into_review()).map_err(|error| error.to_string());
    ReviewResponse { review, outcome, operation }
}

/// A mutating webhook that fails leaves the object as it is, and the validator decides. A deletion is
/// never denied.
fn is_allowed_on_failure(webhook: ReviewPath) -> bool {
    webhook != ReviewPath::Validate
}
